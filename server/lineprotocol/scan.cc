#include "server/lineprotocol/scan.h"

#include <bit>

#ifdef __x86_64__
#include <immintrin.h>
#endif

namespace sluice::lineprotocol {
namespace {

bool EndsSeries(char c) { return static_cast<unsigned char>(c) <= ' ' || c == '\\'; }
bool IsQuote(char c) { return c == '"' || c == '\\'; }
bool IsDelimiter(char c) { return c == ',' || c == '='; }

// The position from `begin` on, one by one.
template <typename Wanted>
size_t FindFrom(std::string_view text, size_t begin, Wanted wanted) {
  while (begin < text.size() && !wanted(text[begin])) ++begin;
  return begin;
}

void AppendDelimiters(std::string_view text, size_t begin, std::vector<uint32_t>& positions) {
  for (size_t i = begin; i < text.size(); ++i) {
    if (IsDelimiter(text[i])) positions.push_back(static_cast<uint32_t>(i));
  }
}

struct Functions {
  size_t (*find_series_end)(std::string_view);
  size_t (*find_quote)(std::string_view);
  void (*find_delimiters)(std::string_view, std::vector<uint32_t>&);
};

#ifdef __x86_64__

void AppendBits(uint32_t mask, size_t offset, std::vector<uint32_t>& positions) {
  for (; mask != 0; mask &= mask - 1) {
    positions.push_back(static_cast<uint32_t>(offset) +
                        static_cast<uint32_t>(std::countr_zero(mask)));
  }
}

size_t FindSeriesEndSse2(std::string_view text) {
  const __m128i space = _mm_set1_epi8(' ');
  const __m128i backslash = _mm_set1_epi8('\\');
  size_t i = 0;
  for (; i + 16 <= text.size(); i += 16) {
    __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(text.data() + i));
    __m128i low = _mm_cmpeq_epi8(_mm_min_epu8(bytes, space), bytes);
    int mask = _mm_movemask_epi8(_mm_or_si128(low, _mm_cmpeq_epi8(bytes, backslash)));
    if (mask != 0) return i + static_cast<size_t>(std::countr_zero(static_cast<uint32_t>(mask)));
  }
  return FindFrom(text, i, EndsSeries);
}

size_t FindQuoteSse2(std::string_view text) {
  const __m128i quote = _mm_set1_epi8('"');
  const __m128i backslash = _mm_set1_epi8('\\');
  size_t i = 0;
  for (; i + 16 <= text.size(); i += 16) {
    __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(text.data() + i));
    int mask = _mm_movemask_epi8(
        _mm_or_si128(_mm_cmpeq_epi8(bytes, quote), _mm_cmpeq_epi8(bytes, backslash)));
    if (mask != 0) return i + static_cast<size_t>(std::countr_zero(static_cast<uint32_t>(mask)));
  }
  return FindFrom(text, i, IsQuote);
}

void FindDelimitersSse2(std::string_view text, std::vector<uint32_t>& positions) {
  const __m128i comma = _mm_set1_epi8(',');
  const __m128i equals = _mm_set1_epi8('=');
  size_t i = 0;
  for (; i + 16 <= text.size(); i += 16) {
    __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(text.data() + i));
    int mask = _mm_movemask_epi8(
        _mm_or_si128(_mm_cmpeq_epi8(bytes, comma), _mm_cmpeq_epi8(bytes, equals)));
    AppendBits(static_cast<uint32_t>(mask), i, positions);
  }
  AppendDelimiters(text, i, positions);
}

[[gnu::target("avx2")]] size_t FindSeriesEndAvx2(std::string_view text) {
  const __m256i space = _mm256_set1_epi8(' ');
  const __m256i backslash = _mm256_set1_epi8('\\');
  size_t i = 0;
  for (; i + 32 <= text.size(); i += 32) {
    __m256i bytes = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(text.data() + i));
    __m256i low = _mm256_cmpeq_epi8(_mm256_min_epu8(bytes, space), bytes);
    int mask = _mm256_movemask_epi8(_mm256_or_si256(low, _mm256_cmpeq_epi8(bytes, backslash)));
    if (mask != 0) return i + static_cast<size_t>(std::countr_zero(static_cast<uint32_t>(mask)));
  }
  return FindFrom(text, i, EndsSeries);
}

[[gnu::target("avx2")]] size_t FindQuoteAvx2(std::string_view text) {
  const __m256i quote = _mm256_set1_epi8('"');
  const __m256i backslash = _mm256_set1_epi8('\\');
  size_t i = 0;
  for (; i + 32 <= text.size(); i += 32) {
    __m256i bytes = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(text.data() + i));
    int mask = _mm256_movemask_epi8(
        _mm256_or_si256(_mm256_cmpeq_epi8(bytes, quote), _mm256_cmpeq_epi8(bytes, backslash)));
    if (mask != 0) return i + static_cast<size_t>(std::countr_zero(static_cast<uint32_t>(mask)));
  }
  return FindFrom(text, i, IsQuote);
}

[[gnu::target("avx2")]] void FindDelimitersAvx2(std::string_view text,
                                                std::vector<uint32_t>& positions) {
  const __m256i comma = _mm256_set1_epi8(',');
  const __m256i equals = _mm256_set1_epi8('=');
  size_t i = 0;
  for (; i + 32 <= text.size(); i += 32) {
    __m256i bytes = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(text.data() + i));
    int mask = _mm256_movemask_epi8(
        _mm256_or_si256(_mm256_cmpeq_epi8(bytes, comma), _mm256_cmpeq_epi8(bytes, equals)));
    AppendBits(static_cast<uint32_t>(mask), i, positions);
  }
  AppendDelimiters(text, i, positions);
}

const Functions& Best() {
  static const Functions functions =
      __builtin_cpu_supports("avx2")
          ? Functions{FindSeriesEndAvx2, FindQuoteAvx2, FindDelimitersAvx2}
          : Functions{FindSeriesEndSse2, FindQuoteSse2, FindDelimitersSse2};
  return functions;
}

#else

const Functions& Best() {
  static const Functions functions = {
      [](std::string_view text) { return FindFrom(text, 0, EndsSeries); },
      [](std::string_view text) { return FindFrom(text, 0, IsQuote); },
      [](std::string_view text, std::vector<uint32_t>& positions) {
        AppendDelimiters(text, 0, positions);
      }};
  return functions;
}

#endif

}  // namespace

size_t FindSeriesEnd(std::string_view text) { return Best().find_series_end(text); }

size_t FindQuote(std::string_view text) { return Best().find_quote(text); }

void FindDelimiters(std::string_view text, std::vector<uint32_t>& positions) {
  positions.clear();
  Best().find_delimiters(text, positions);
}

}  // namespace sluice::lineprotocol
