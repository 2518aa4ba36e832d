# The libraries Descent stands on, all from the distribution. README.md names each with its reason.
find_package(PkgConfig REQUIRED)
find_package(OpenMP REQUIRED)
find_package(Threads REQUIRED)
find_library(DNNL_LIBRARY dnnl REQUIRED)      # matrix products; its own CMake config asks for OpenCL, which we do not use
find_path(DNNL_INCLUDE oneapi/dnnl/dnnl.hpp REQUIRED)
find_package(fmt REQUIRED)                    # formatting in sources
find_package(CLI11 REQUIRED)                  # the command line
find_package(nlohmann_json REQUIRED)          # JSON in and out
find_package(PNG REQUIRED)                    # images
find_package(JPEG REQUIRED)                   # images; Debian's is libjpeg-turbo
find_package(ZLIB REQUIRED)                   # .gz, .npz
find_package(CURL REQUIRED)                   # the catalogue's downloads
find_package(OpenSSL REQUIRED COMPONENTS Crypto)  # SHA-256
pkg_check_modules(libzip REQUIRED IMPORTED_TARGET libzip)    # .npz
pkg_check_modules(libarchive REQUIRED IMPORTED_TARGET libarchive)  # archives of games
pkg_check_modules(sndfile REQUIRED IMPORTED_TARGET sndfile)      # WAV and FLAC
pkg_check_modules(samplerate REQUIRED IMPORTED_TARGET samplerate)  # sounds of any rate
pkg_check_modules(libhwy REQUIRED IMPORTED_TARGET libhwy)    # vector kernels with run-time dispatch
find_path(XBYAK_INCLUDE xbyak/xbyak.h REQUIRED)              # elementwise kernels as machine code
find_path(TOMLPLUSPLUS_INCLUDE toml++/toml.h REQUIRED)       # recipes

add_library(descent_dependencies INTERFACE)
target_link_libraries(descent_dependencies INTERFACE OpenMP::OpenMP_CXX Threads::Threads ${DNNL_LIBRARY} fmt::fmt CLI11::CLI11
  nlohmann_json::nlohmann_json PNG::PNG JPEG::JPEG ZLIB::ZLIB CURL::libcurl OpenSSL::Crypto PkgConfig::libzip
  PkgConfig::libarchive PkgConfig::sndfile PkgConfig::samplerate PkgConfig::libhwy)
target_include_directories(descent_dependencies SYSTEM INTERFACE ${TOMLPLUSPLUS_INCLUDE} ${DNNL_INCLUDE} ${XBYAK_INCLUDE})
