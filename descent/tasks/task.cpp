#include "descent/tasks/task.h"

#include "descent/base/text.h"
#include "descent/tasks/classify.h"
#include "descent/tasks/language.h"
#include "descent/tasks/regress.h"
#include "descent/tasks/transcribe.h"

namespace descent::tasks {

std::span<const TaskKind> task_kinds() {
  static const TaskKind kinds[] = {classify_task(), regress_task(), language_task(), reply_task(), transcribe_task()};
  return kinds;
}

const TaskKind& find_task(std::string_view name, Site at) {
  std::vector<std::string> known;
  for (const TaskKind& kind : task_kinds()) {
    if (kind.name == name) return kind;
    known.emplace_back(kind.name);
  }
  nn::fail_unknown_kind(at, "task", name, known);
}

}  // namespace descent::tasks
