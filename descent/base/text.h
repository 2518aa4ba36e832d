// Building sentences without pulling a formatting library into public headers (sources may use {fmt}).
#pragma once

#include <concepts>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace descent {

std::string number_text(double value);  // shortest form that reads back as the same double: "0.1", "3", "1e-08"

inline void append_text(std::string& out, std::string_view part) { out += part; }
inline void append_text(std::string& out, char part) { out += part; }
template <std::same_as<bool> T>  // a template, or "text" would convert to bool rather than to string_view
void append_text(std::string& out, T part) {
  out += part ? "true" : "false";
}
template <std::integral T>
requires(!std::same_as<T, bool>) void append_text(std::string& out, T part) { out += std::to_string(part); }
template <std::floating_point T>
void append_text(std::string& out, T part) {
  out += number_text(part);
}
template <class T>
requires requires(const T& part) {
  { to_text(part) } -> std::convertible_to<std::string>;
}
void append_text(std::string& out, const T& part) { out += to_text(part); }

// text("got ", 3, " of ", shape): the parts joined. A type joins in by having `std::string to_text(const T&)`.
template <class... Parts>
std::string text(const Parts&... parts) {
  std::string out;
  (append_text(out, parts), ...);
  return out;
}

std::string join(std::span<const std::string> parts, std::string_view separator);

// The candidate with the smallest edit distance to `name`, or "" if none is near (over a third of its length away).
std::string nearest(std::string_view name, std::span<const std::string> candidates);

// "; did you mean 'relu'?" or "" if no candidate is near: the tail of an unknown-name sentence.
std::string did_you_mean(std::string_view name, std::span<const std::string> candidates);

}  // namespace descent
