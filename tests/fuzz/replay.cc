// Stands in for libFuzzer where the compiler has none, or where clang cannot compile what is under
// test (the HTTP server's coroutines): runs every file that it is given, and what becomes of it
// when it is cut short or when single bytes change. With --seconds=N first, goes on with random
// changes for as long.

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

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

// Some random changes: a byte, a piece that goes, comes twice, or comes from another input.
std::string Mutate(std::string input, const std::vector<std::string>& inputs,
                   std::mt19937_64& random) {
  for (uint64_t changes = 1 + random() % 5; changes > 0; --changes) {
    const size_t at = random() % (input.size() + 1);
    const size_t size = random() % 16;
    switch (random() % 5) {
      case 0:
        if (at < input.size()) input[at] = static_cast<char>(random());
        break;
      case 1:
        input.erase(at, size);
        break;
      case 2:
        input.insert(at, input.substr(at, size));
        break;
      case 3: {
        const std::string& other = inputs[random() % inputs.size()];
        input.insert(at, other.substr(random() % (other.size() + 1), 4 * size));
        break;
      }
      default:
        input.insert(at, size, static_cast<char>(random()));
    }
  }
  return input;
}

// Leaves what it is about to run in the file "last", for when it crashes.
int64_t RunMutations(std::vector<std::string> inputs, std::chrono::seconds time) {
  std::mt19937_64 random(std::random_device{}());
  const auto end = std::chrono::steady_clock::now() + time;
  int64_t runs = 0;
  for (; std::chrono::steady_clock::now() < end; ++runs) {
    std::string input = Mutate(inputs[random() % inputs.size()], inputs, random);
    std::ofstream("last", std::ios::binary) << input;
    Run(input);
    // What has become of one is changed further.
    if (random() % 8 == 0) inputs[random() % inputs.size()] = std::move(input);
  }
  return runs;
}

}  // namespace

int main(int argc, char** argv) {
  constexpr std::string_view kSeconds = "--seconds=";
  std::chrono::seconds time(0);
  std::vector<std::string> inputs;
  for (int i = 1; i < argc; ++i) {
    if (std::string_view(argv[i]).starts_with(kSeconds)) {
      time = std::chrono::seconds(std::atoi(argv[i] + kSeconds.size()));
      continue;
    }
    std::ifstream file(argv[i], std::ios::binary);
    inputs.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
    RunWithVariants(inputs.back());
  }
  const size_t files = inputs.size();
  if (time.count() > 0 && files > 0) {
    std::printf("%lld random variants passed\n",
                static_cast<long long>(RunMutations(inputs, time)));
  }
  std::printf("%zu inputs and their variants passed\n", files);
  return files > 0 ? 0 : 1;
}
