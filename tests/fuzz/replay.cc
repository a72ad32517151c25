// Stands in for libFuzzer where the compiler has none: runs every file that it is given, and what
// becomes of it when it is cut short or when single bytes change.

#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace {

void Run(const std::string& input) {
  LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(input.data()), input.size());
}

void RunWithVariants(const std::string& input) {
  Run(input);
  for (size_t size = 0; size < input.size(); ++size) Run(input.substr(0, size));
  for (size_t at = 0; at < input.size(); ++at) {
    for (char byte :
         {'\0', '\xff', '"', '\\', '\n', ',', '=', ' ', static_cast<char>(input[at] + 1)}) {
      std::string changed = input;
      changed[at] = byte;
      Run(changed);
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  int files = 0;
  for (int i = 1; i < argc; ++i) {
    std::ifstream file(argv[i], std::ios::binary);
    RunWithVariants({std::istreambuf_iterator<char>(file), {}});
    ++files;
  }
  std::printf("%d inputs and their variants passed\n", files);
  return files > 0 ? 0 : 1;
}
