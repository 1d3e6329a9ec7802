// The row kernels for x86-64 with AVX2, FMA and F16C.

#include "row_kernels_common.h"

#ifdef FGFA_X86_64
#include <immintrin.h>

#ifdef __clang__
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma,f16c")
#endif

#define FGFA_CAPABILITY cpu_avx2
#define FGFA_VECTOR_BYTES 32
// GCC 12 takes three instructions where one does, without.
#define FGFA_WIDEN(row) \
  _mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(row)))
#define FGFA_LOAD_HALF(row) _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(row)))
#include "row_kernels_impl.h"

#ifdef __clang__
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif
