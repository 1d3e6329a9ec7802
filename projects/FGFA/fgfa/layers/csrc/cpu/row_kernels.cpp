// Chooses the row kernels for the processor that the program runs on.

#include <cstdlib>
#include <string>

#include "row_kernels_common.h"

namespace fgfa {
namespace {

enum class Capability { kDefault, kAvx2, kAvx512 };

Capability best_capability() {
#ifdef FGFA_X86_64
  __builtin_cpu_init();
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                    __builtin_cpu_supports("f16c");
  const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") &&
                      __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
                      __builtin_cpu_supports("avx512vl");
  return avx512 ? Capability::kAvx512 : avx2 ? Capability::kAvx2 : Capability::kDefault;
#else
  return Capability::kDefault;
#endif
}

// FGFA_CPU_CAPABILITY=default|avx2 asks for less than the processor has.
Capability chosen_capability() {
  const Capability best = best_capability();
  const char* variable = std::getenv("FGFA_CPU_CAPABILITY");
  const std::string wish = variable == nullptr ? "" : variable;
  if (wish == "default") return Capability::kDefault;
  if (wish == "avx2" && best == Capability::kAvx512) return Capability::kAvx2;
  return best;
}

const Capability capability = chosen_capability();

}  // namespace

template <typename scalar_t>
const RowKernels<scalar_t>& row_kernels() {
#ifdef FGFA_X86_64
  if (capability == Capability::kAvx512) return cpu_avx512::kernels<scalar_t>();
  if (capability == Capability::kAvx2) return cpu_avx2::kernels<scalar_t>();
#endif
  return cpu_default::kernels<scalar_t>();
}

template const RowKernels<float>& row_kernels<float>();
template const RowKernels<double>& row_kernels<double>();
template const RowKernels<Half>& row_kernels<Half>();
template const RowKernels<BFloat16>& row_kernels<BFloat16>();

const char* cpu_capability() {
  switch (capability) {
    case Capability::kAvx512:
      return "avx512";
    case Capability::kAvx2:
      return "avx2";
    default:
      return "default";
  }
}

}  // namespace fgfa
