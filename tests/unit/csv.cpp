#include "descent/data/csv.h"

#include <algorithm>

#include "data_testing.h"

namespace descent::data {
namespace {

Table parsed(const std::string& csv, const CsvOptions& options = {}) { return parse_csv(csv, "t.csv", options); }
std::string error_for(const std::string& csv, const CsvOptions& options = {}) {
  return error_of([&] { parse_csv(csv, "t.csv", options); });
}

std::vector<std::string> category_cells(const Column& column) {
  std::vector<std::string> out;
  for (size_t row = 0; row < column.values.size(); ++row)
    out.push_back(column.is_missing(static_cast<int64_t>(row)) ? "-" : column.category(static_cast<int64_t>(row)));
  return out;
}

TEST(Csv, InfersNumbersAndCategories) {
  const Table table = parsed("size,colour\n1.5,red\n-2e3,blue\n+3,red\n");
  EXPECT_TRUE(table.has_header);
  EXPECT_EQ(table.names(), (std::vector<std::string>{"size", "colour"}));
  EXPECT_EQ(table.columns[0].values, (std::vector<double>{1.5, -2000, 3}));
  EXPECT_EQ(table.columns[1].kind, ColumnKind::category);
  EXPECT_EQ(table.columns[1].categories, (std::vector<std::string>{"blue", "red"}));
  EXPECT_EQ(category_cells(table.columns[1]), (std::vector<std::string>{"red", "blue", "red"}));
  EXPECT_EQ(table.lines, (std::vector<int64_t>{2, 3, 4}));
}

TEST(Csv, ReadsQuotedCells) {
  const Table table = parsed("a,b\n\"x, \"\"y\"\"\",1\n\"two\nlines\", 2 \n \"spaced\" ,3\n\"\",4\n");
  EXPECT_EQ(category_cells(table.columns[0]), (std::vector<std::string>{"x, \"y\"", "two\nlines", "spaced", "-"}));
  EXPECT_EQ(table.columns[1].values, (std::vector<double>{1, 2, 3, 4}));
  EXPECT_EQ(table.lines, (std::vector<int64_t>{2, 3, 5, 6}));  // a cell of two lines moves the lines on
}

TEST(Csv, ReadsCrLfByteOrderMarkCommentsAndEmptyLines) {
  const Table table = parsed("\xef\xbb\xbf# made by hand\r\na,b\r\n\r\n1,x\r\n  \r\n# more\r\n2,y\r");
  EXPECT_EQ(table.names(), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(table.columns[0].values, (std::vector<double>{1, 2}));
  EXPECT_EQ(category_cells(table.columns[1]), (std::vector<std::string>{"x", "y"}));
  EXPECT_EQ(table.lines, (std::vector<int64_t>{4, 7}));
}

TEST(Csv, ReadsLinesThatEndInCr) {
  const Table table = parsed("a,b\r1,x\r\r2,y");
  EXPECT_EQ(table.columns[0].values, (std::vector<double>{1, 2}));
  EXPECT_EQ(table.lines, (std::vector<int64_t>{2, 4}));
}

TEST(Csv, TheCommentCharacterIsAChoice) {
  EXPECT_EQ(parsed("|note\n1,2\n", {.comment = '|'}).rows(), 1);
  EXPECT_EQ(parsed("#1,#2\n1,2\n", {.comment = '\0'}).names(), (std::vector<std::string>{"#1", "#2"}));
}

TEST(Csv, DetectsTheDelimiter) {
  for (const char delimiter : {',', ';', '\t'}) {
    std::string csv = "a|b|c\n1|x|3\n2|y|4\n";
    std::ranges::replace(csv, '|', delimiter);
    EXPECT_EQ(parsed(csv).columns.size(), 3u) << delimiter;
  }
  const Table table = parsed("a;b\n\"1,5\";2,5\n\"2,5\";3,5\n");  // the commas divide unevenly
  EXPECT_EQ(category_cells(table.columns[1]), (std::vector<std::string>{"2,5", "3,5"}));
  EXPECT_EQ(parsed("word\none\ntwo\n").columns.size(), 1u);
  EXPECT_EQ(parsed("a,b;c\n1,2;3\n", {.delimiter = ';'}).columns.size(), 2u);
}

TEST(Csv, KeepsEmptyCellsBetweenTabs) {
  const Table table = parsed("a\tb\tc\n1\t\t3\n\t\t4\n");
  EXPECT_EQ(table.columns.size(), 3u);
  EXPECT_TRUE(table.columns[1].is_missing(0));
  EXPECT_TRUE(table.columns[0].is_missing(1));
}

TEST(Csv, DetectsTheHeader) {
  EXPECT_FALSE(parsed("1,x\n2,y\n").has_header);
  EXPECT_EQ(parsed("1,x\n2,y\n").names(), (std::vector<std::string>{"column1", "column2"}));
  EXPECT_FALSE(parsed("x,x\n1,2\n").has_header) << "a header names nothing twice";
  EXPECT_FALSE(parsed("?,x\ny,z\n").has_header);
  EXPECT_EQ(parsed(",b\n1,2\n").names(), (std::vector<std::string>{"column1", "b"}));
  EXPECT_EQ(parsed("a,b\nc,d\n", {.header = Header::absent}).rows(), 2);
  EXPECT_EQ(parsed("2001,2002\n1,2\n", {.header = Header::present}).names(),
            (std::vector<std::string>{"2001", "2002"}));
}

TEST(Csv, MissingCellsHaveManySpellings) {
  const Table table = parsed("a,b\n1,x\n,\n?,?\nNA,NA\nn/a,N/A\nNaN,nan\nnull,NULL\n2,y\n");
  EXPECT_EQ(table.columns[0].kind, ColumnKind::number);
  for (int64_t row = 1; row < 7; ++row) {
    EXPECT_TRUE(table.columns[0].is_missing(row)) << row;
    EXPECT_TRUE(table.columns[1].is_missing(row)) << row;
  }
  EXPECT_EQ(table.columns[0].values[7], 2);
  EXPECT_EQ(table.columns[1].categories, (std::vector<std::string>{"x", "y"}));
}

TEST(Csv, ReadsNumbersInFull) {
  const Table table = parsed("a\n0.1\n1e-400\n1e308\n-0\n.5\n5.\n");
  EXPECT_EQ(table.columns[0].values, (std::vector<double>{0.1, 0, 1e308, 0, 0.5, 5}));
  for (const char* text : {"1e999", "inf", "0x10", "1,5", "--1", "+-1", "1 2", "1e"})
    EXPECT_NE(error_for("a\n1\n2\n3\n\"" + std::string(text) + "\"\n").find("holds numbers, but here"),
              std::string::npos)
        << text;
}

TEST(Csv, NamesTheCellThatIsNoNumber) {
  EXPECT_EQ(error_for("age,name\n31,ann\n4o,bob\n27,cy\n"),
            "t.csv:3: column 'age' holds numbers, but here '4o'; correct the cell, or read the column as a category");
  const CsvOptions number{.columns = {{"code", ColumnKind::number}}};
  EXPECT_EQ(error_for("code\nA\nB\n", number),
            "t.csv:2: column 'code' holds numbers, but here 'A'; correct the cell, or read the column as a category");
  const std::string long_cell(60, 'x');
  EXPECT_NE(error_for("a\n1\n2\n" + long_cell + "\n").find("'" + std::string(40, 'x') + "...'"), std::string::npos);
}

TEST(Csv, AColumnOfCodesIsNotOneOfBadNumbers) {
  std::string csv = "ticket\n";
  for (int row = 0; row < 100; ++row) csv += row % 5 ? std::to_string(row) + "\n" : "A" + std::to_string(row) + "\n";
  EXPECT_EQ(parsed(csv).columns[0].kind, ColumnKind::category);
  const CsvOptions category{.columns = {{"a", ColumnKind::category}}};
  EXPECT_EQ(parsed("a\n10\n9\n10\n", category).columns[0].categories, (std::vector<std::string>{"10", "9"}));
}

TEST(Csv, KnownColumnsNameAFileWithoutAHeader) {
  const CsvOptions known{
      .columns = {{"x", ColumnKind::number}, {"y", ColumnKind::category}, {"t", ColumnKind::number, true}}};
  EXPECT_EQ(parsed("1,7,3\n", known).names(), (std::vector<std::string>{"x", "y", "t"}));
  EXPECT_EQ(parsed("1,7\n", known).names(), (std::vector<std::string>{"x", "y"}));
  EXPECT_EQ(parsed("1,7\n", known).columns[1].kind, ColumnKind::category);
  EXPECT_EQ(parsed("y,x\n7,1\n", known).column("x").values, (std::vector<double>{1}));
  EXPECT_EQ(error_for("1\n", known), "t.csv: 1 columns and no header, where 2 are expected: x, y");
  const CsvOptions words{.columns = {{"x", ColumnKind::category}, {"y", ColumnKind::category}}};
  EXPECT_FALSE(parsed("red,blue\n", words).has_header);
}

TEST(Csv, NamesBrokenRows) {
  EXPECT_EQ(error_for("a,b\n1,2\n\n1,2,3\n"), "t.csv:4: 3 cells, where line 1 has 2");
  EXPECT_EQ(error_for("a,b\n1,\"2\n3,4\n"), "t.csv:2: the quote that opens cell 2 is never closed");
  EXPECT_EQ(error_for("a,b\n1,\"2\"\"\n"), "t.csv:2: the quote that opens cell 2 is never closed");
  EXPECT_EQ(error_for("a,b\n1,\"2\"3\n"),
            "t.csv:2: text follows the closing quote of cell 2 (a quote inside a quoted cell is written twice)");
  EXPECT_EQ(error_for("a,b,a\n1,2,3\n", {.header = Header::present}),
            "t.csv:1: the header names two columns 'a' (1 and 3)");
}

TEST(Csv, NamesWhatIsNoTable) {
  EXPECT_EQ(error_for(""), "t.csv: holds no rows");
  EXPECT_EQ(error_for("# only this\n\n"), "t.csv: holds no rows");
  EXPECT_EQ(error_for(std::string("a,b\n1,\0\n", 8)), "t.csv:2: not a text file: it holds a zero byte");
  EXPECT_EQ(error_for("a\ncaf\xe9\n"), "t.csv:2: not UTF-8 text; save it as UTF-8");
  EXPECT_EQ(error_for("\xff\xfe"
                      "a"),
            "t.csv: is UTF-16 text; save it as UTF-8");
  EXPECT_EQ(category_cells(parsed("a\ncaf\xc3\xa9\n\xe4\xb8\xad\n").columns[0])[1], "\xe4\xb8\xad");
}

TEST(Csv, AHeaderAloneIsATableWithoutRows) {
  EXPECT_EQ(parsed("a,b\n").rows(), 0);
  EXPECT_EQ(parsed("a,b\n").columns.size(), 2u);
}

TEST(Csv, ReadsFiles) {
  const Folder folder;
  const std::string path = folder.write("t.csv", bytes_of("a\n1\nx\n2\n3\n"));
  EXPECT_EQ(error_of([&] { read_csv(path); }).find(path + ":3: column 'a'"), 0u);
  EXPECT_EQ(error_of([] { read_csv("/nowhere.csv"); }), "/nowhere.csv: cannot be opened: No such file or directory");
}

TEST(Table, FindsColumnsAndSelectsRows) {
  const Table table = parsed("sepal_length,species\n1,b\n2,a\n3,b\n");
  EXPECT_EQ(table.find("width"), nullptr);
  EXPECT_EQ(error_of([&] { table.column("sepal_lenght"); }),
            "t.csv: no column 'sepal_lenght'; did you mean 'sepal_length'? (its columns: sepal_length, species)");
  const std::vector<int64_t> rows{2, 0};
  const Table part = table.select(rows);
  EXPECT_EQ(part.columns[0].values, (std::vector<double>{3, 1}));
  EXPECT_EQ(part.columns[1].categories, table.columns[1].categories);
  EXPECT_EQ(part.place(0, "species"), "t.csv:4: column 'species'");
  const std::vector<int64_t> beyond{3};
  EXPECT_EQ(error_of([&] { table.select(beyond); }), "t.csv: row 3 does not exist in a table of 3 rows");
}

}  // namespace
}  // namespace descent::data
