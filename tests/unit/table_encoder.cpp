#include "descent/data/table_encoder.h"

#include <cmath>

#include "data_testing.h"

namespace descent::data {
namespace {

Table table(const std::string& csv) { return parse_csv(csv, "t.csv"); }

const std::string people =
    "age,job,income\n"
    "20,cook,low\n"
    "40,nurse,high\n"
    ",cook,high\n"
    "60,,low\n";

std::vector<double> row_of(const Array& array, int64_t row) { return array.rows(row, row + 1).to_doubles(); }

TEST(TableEncoder, StandardisesNumbersAndMarksMissingOnes) {
  const TableEncoder encoder = TableEncoder::fit(table(people), {.target = "income"});
  EXPECT_EQ(encoder.input_names(),
            (std::vector<std::string>{"age", "age (missing)", "job=cook", "job=nurse", "job (missing)"}));
  const Dataset data = encoder.encode(table(people));
  EXPECT_EQ(to_text(data.inputs.type()), "f32[4,5]");
  const float one = static_cast<float>(20 / std::sqrt(800.0 / 3));  // 20, 40 and 60: mean 40, variance 800/3
  EXPECT_EQ(row_of(data.inputs, 0), (std::vector<double>{-one, 0, 1, 0, 0}));
  EXPECT_EQ(row_of(data.inputs, 1), (std::vector<double>{0, 0, 0, 1, 0}));
  EXPECT_EQ(row_of(data.inputs, 2), (std::vector<double>{0, 1, 1, 0, 0}));
  EXPECT_EQ(row_of(data.inputs, 3), (std::vector<double>{one, 0, 0, 0, 1}));
  EXPECT_EQ(data.classes, (std::vector<std::string>{"high", "low"}));
  EXPECT_EQ(data.targets.to_doubles(), (std::vector<double>{1, 0, 0, 1}));
  EXPECT_EQ(data.features, encoder.input_names());
}

TEST(TableEncoder, AppliesTheTrainingNumbersToOtherRows) {
  const TableEncoder encoder = TableEncoder::fit(table("x,y\n0,a\n2,b\n"), {.target = "y"});
  EXPECT_EQ(encoder.inputs(table("x\n5\n")).to_doubles(), (std::vector<double>{4}));
  EXPECT_EQ(encoder.inputs(table("extra,x\nz,?\n")).to_doubles(), (std::vector<double>{0}))
      << "missing, but training had none missing: the mean";
}

TEST(TableEncoder, ACategoryThatTrainingNeverSawIsAllZeros) {
  const TableEncoder encoder = TableEncoder::fit(table("c,y\nred,1.5\nblue,2.5\n"), {.target = "y"});
  EXPECT_EQ(encoder.inputs(table("c\ngreen\nred\n")).to_doubles(), (std::vector<double>{0, 0, 0, 1}));
}

TEST(TableEncoder, RareCategoriesShareOther) {
  const Table rows = table("c,y\nb,0.5\na,1\nb,2\nc,3\na,4\nd,5\n");
  const TableEncoder encoder = TableEncoder::fit(rows, {.target = "y", .max_categories = 2});
  EXPECT_EQ(encoder.input_names(), (std::vector<std::string>{"c=a", "c=b", "c (other)"}));
  EXPECT_EQ(encoder.inputs(table("c\nd\nb\nnew\n")).to_doubles(), (std::vector<double>{0, 0, 1, 0, 1, 0, 0, 0, 1}));
}

TEST(TableEncoder, PredictsStandardisedNumbers) {
  const Table rows = table("x,price\n1,100.5\n2,300.5\n");
  const TableEncoder encoder = TableEncoder::fit(rows, {.target = "price"});
  EXPECT_FALSE(encoder.is_classification());
  const Dataset data = encoder.encode(rows);
  EXPECT_EQ(to_text(data.targets.type()), "f32[2,1]");
  EXPECT_EQ(data.targets.to_doubles(), (std::vector<double>{-1, 1}));
  EXPECT_EQ(encoder.target_number(1), 300.5);
  EXPECT_EQ(encoder.target_number(-1), 100.5);
  EXPECT_TRUE(data.classes.empty());
}

TEST(TableEncoder, FewIntegersAreClassesSortedByValue) {
  const Table rows = table("x,y\n1,10\n2,9\n3,10\n");
  EXPECT_EQ(TableEncoder::fit(rows, {.target = "y"}).target().classes, (std::vector<std::string>{"9", "10"}));
  EXPECT_FALSE(TableEncoder::fit(rows, {.target = "y", .kind = TargetKind::number}).is_classification());
  std::string many = "x,y\n";
  for (int i = 0; i < 30; ++i) many += "1," + std::to_string(i) + "\n";
  EXPECT_FALSE(TableEncoder::fit(table(many), {.target = "y"}).is_classification());
  EXPECT_EQ(TableEncoder::fit(table(many), {.target = "y", .kind = TargetKind::classes}).target().classes.size(), 30u);
}

TEST(TableEncoder, AConstantColumnBecomesZero) {
  const Table rows = table("x,k,y\n1,0.1,a\n2,0.1,b\n3,0.1,a\n");
  const Dataset data = TableEncoder::fit(rows, {.target = "y"}).encode(rows);
  for (int64_t row = 0; row < 3; ++row) EXPECT_NEAR(data.inputs.at(2 * row + 1), 0, 1e-12);
}

TEST(TableEncoder, LeavesOutIgnoredColumns) {
  const Table rows = table("id,x,y\n1,1,a\n2,2,b\n");
  EXPECT_EQ(TableEncoder::fit(rows, {.target = "y", .ignore = {"id"}}).input_names(), (std::vector<std::string>{"x"}));
  EXPECT_EQ(error_of([&] { TableEncoder::fit(rows, {.target = "y", .ignore = {"ids"}}); }),
            "t.csv: no column 'ids'; did you mean 'id'? (its columns: id, x, y)");
}

TEST(TableEncoder, NamesTargetsThatCannotBe) {
  EXPECT_EQ(error_of([] { TableEncoder::fit(table(people), {.target = "incme"}); }),
            "t.csv: no column 'incme'; did you mean 'income'? (its columns: age, job, income)");
  EXPECT_EQ(error_of([] { TableEncoder::fit(table(people), {.target = "job"}); }),
            "t.csv:5: column 'job' is the target, but here it is missing");
  EXPECT_EQ(error_of([] { TableEncoder::fit(table("x,y\n1,a\n2,a\n"), {.target = "y"}); }),
            "t.csv: column 'y' has one value only in the training rows (a), so there is nothing to predict");
  EXPECT_EQ(error_of([] { TableEncoder::fit(table("x,y\n1,a\n2,b\n"), {.target = "y", .kind = TargetKind::number}); }),
            "t.csv: column 'y' holds categories, so it cannot be predicted as a number");
  EXPECT_EQ(error_of([] { TableEncoder::fit(table("y\na\nb\n"), {.target = "y"}); }),
            "t.csv: no column is left to predict 'y' from");
  EXPECT_EQ(error_of([] { TableEncoder::fit(table("x,y\n"), {.target = "y"}); }), "t.csv: holds no rows to learn from");
}

TEST(TableEncoder, NamesRowsThatDoNotFit) {
  const TableEncoder encoder = TableEncoder::fit(table(people), {.target = "income"});
  EXPECT_EQ(error_of([&] { encoder.encode(table("age,job,income\n1,cook,low\n2,cook,huge\n")); }),
            "t.csv:3: column 'income': class 'huge' is not one of the 2 of the training rows (high, low)");
  EXPECT_EQ(error_of([&] { encoder.encode(table("age,job,income\n1,cook,low\n2,cook,\n")); }),
            "t.csv:3: column 'income' is the target, but here it is missing");
  EXPECT_EQ(error_of([&] { encoder.inputs(table("age,work\n1,cook\n")); }),
            "t.csv: no column 'job' (its columns: age, work)");
  EXPECT_EQ(error_of([&] { encoder.inputs(table("age,job\nx,cook\ny,cook\n")); }),
            "t.csv: column 'age' holds category cells, but number cells in the training rows");
}

TEST(TableEncoder, ReadsNewRowsAsItWasTaught) {
  const Table rows = table("code,x,y\nA,1,a\nB,2,b\n7,3,a\n");
  const TableEncoder encoder = TableEncoder::fit(rows, {.target = "y"});
  const Table headed = parse_csv("x,code\n2,7\n", "new.csv", encoder.reading());
  EXPECT_EQ(encoder.inputs(headed).to_doubles(), (std::vector<double>{1, 0, 0, 0}));
  const Table bare = parse_csv("7,2\n", "new.csv", encoder.reading());  // neither header nor target
  EXPECT_EQ(encoder.inputs(bare).to_doubles(), (std::vector<double>{1, 0, 0, 0}));
  EXPECT_EQ(error_of([&] { parse_csv("x,code\n1,A\nbad,A\n", "new.csv", encoder.reading()); }),
            "new.csv:3: column 'x' holds numbers, but here 'bad'; correct the cell, or read the column as a category");
}

TEST(TableEncoder, ComesBackFromJson) {
  for (const char* csv : {"age,job,income\n20.1,cook,low\n40,nurse \xc3\xa9,high\n,cook,high\n60,,low\n",
                          "job,age,price\na,1,0.1\nb,2,0.7\nc,3,1e-7\n"}) {
    const Table rows = table(csv);
    const TableEncoder encoder = TableEncoder::fit(rows, {.target = rows.columns[2].name, .max_categories = 2});
    const TableEncoder back = TableEncoder::from_json(encoder.to_json());
    EXPECT_EQ(back.to_json(), encoder.to_json());
    EXPECT_EQ(bytes_of(back.encode(rows).inputs), bytes_of(encoder.encode(rows).inputs));
    EXPECT_EQ(bytes_of(back.encode(rows).targets), bytes_of(encoder.encode(rows).targets));
    EXPECT_EQ(back.target_number(0.3), encoder.target_number(0.3));
  }
}

TEST(TableEncoder, NamesJsonThatIsNotItsOwn) {
  const std::string good = TableEncoder::fit(table(people), {.target = "income"}).to_json();
  for (const std::string& bad : {std::string("{"), std::string("{}"), std::string("[1]")})
    EXPECT_EQ(error_of([&] { TableEncoder::from_json(bad); }).find("the stored table encoder cannot be read: "), 0u);
  std::string strange = good;
  strange.replace(strange.find("number"), 6, "colour");
  EXPECT_EQ(error_of([&] { TableEncoder::from_json(strange); }),
            "the stored table encoder cannot be read: 'colour' is no kind of column");
}

TEST(EncodeSplits, FitsOnTheTrainingPartOnly) {
  std::string csv = "x,y\n";
  for (int i = 0; i < 40; ++i) csv += std::to_string(i * i) + (i % 4 ? ",a\n" : ",b\n");
  const EncodedTable out = encode_splits(table(csv), {.target = "y"}, {.validation = 0.2, .test = 0.3}, 5);
  EXPECT_EQ(out.splits.train.size(), 20);
  EXPECT_EQ(out.splits.validation.size(), 8);
  EXPECT_EQ(out.splits.test.size(), 12);
  double mean = 0, b = 0;
  for (const double x : out.splits.train.inputs.to_doubles()) mean += x / 20;
  for (const double y : out.splits.test.targets.to_doubles()) b += y;
  EXPECT_NEAR(mean, 0, 1e-6);
  EXPECT_EQ(b, 3);  // stratified
}

TEST(EncodeSplits, KeepsEveryClassInTraining) {
  const std::string csv = "x,y\n1,a\n2,a\n3,a\n4,a\n5,a\n6,a\n7,rare\n8,a\n9,a\n10,a\n";
  for (uint64_t seed = 0; seed < 50; ++seed)
    EXPECT_EQ(encode_splits(table(csv), {.target = "y"}, {.validation = 0.3, .test = 0.3}, seed).splits.test.classes,
              (std::vector<std::string>{"a", "rare"}));
}

}  // namespace
}  // namespace descent::data
