// The row kernels for x86-64 with AVX-512 (F, BW, DQ, VL), FMA and F16C.

#include "row_kernels_common.h"

#ifdef FGFA_X86_64
#include <immintrin.h>

#ifdef __clang__
#pragma clang attribute push( \
    __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,fma,f16c"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,fma,f16c")
#endif

#define FGFA_CAPABILITY cpu_avx512
#define FGFA_VECTOR_BYTES 64
// The forms with a mask, as GCC 12 warns of an undefined register in those without.
#define FGFA_WIDEN(row) \
  _mm512_maskz_cvtepu16_epi32(0xffff, _mm256_loadu_si256(reinterpret_cast<const __m256i*>(row)))
#define FGFA_LOAD_HALF(row) \
  _mm512_maskz_cvtph_ps(0xffff, _mm256_loadu_si256(reinterpret_cast<const __m256i*>(row)))
#include "row_kernels_impl.h"

#ifdef __clang__
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif
