// What every row_kernels*.cpp needs, all of it for the compiler's own instruction set.

#pragma once

#include <torch/headeronly/util/BFloat16.h>
#include <torch/headeronly/util/Half.h>

#include <cstdint>
#include <cstring>
#include <type_traits>

#include "row_kernels.h"

// Where the compiler can be switched to another instruction set for a part of a file.
#if defined(__GNUC__) && defined(__x86_64__)
#define FGFA_X86_64
#endif

namespace fgfa {

using torch::headeronly::BFloat16;
using torch::headeronly::Half;

// One declaration for each instruction set, defined by row_kernels_impl.h.
namespace cpu_default {
template <typename scalar_t>
const RowKernels<scalar_t>& kernels();
}
#ifdef FGFA_X86_64
namespace cpu_avx2 {
template <typename scalar_t>
const RowKernels<scalar_t>& kernels();
}
namespace cpu_avx512 {
template <typename scalar_t>
const RowKernels<scalar_t>& kernels();
}
#endif

}  // namespace fgfa
