#ifndef SLUICE_STORAGE_BLOCK_VECTORIZED_H_
#define SLUICE_STORAGE_BLOCK_VECTORIZED_H_

// Before a function: compile it once more for processors with AVX2, and choose when the program is
// loaded. For loops over arrays that the compiler turns into vector code by itself. Sanitizers
// cannot instrument what runs while the program is being loaded.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && \
    !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define SLUICE_VECTORIZED [[gnu::target_clones("avx2", "default")]]
#else
#define SLUICE_VECTORIZED
#endif

#endif  // SLUICE_STORAGE_BLOCK_VECTORIZED_H_
