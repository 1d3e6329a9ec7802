// Bodies of the row kernels. Each row_kernels_<instruction set>.cpp includes this file once, with
//   FGFA_CAPABILITY    namespace of its own, so that no function is shared between instruction sets
//   FGFA_VECTOR_BYTES  size of a vector register
// and includes everything else before it switches the compiler to its instruction set.

namespace fgfa {
namespace FGFA_CAPABILITY {

#ifdef __GNUC__
template <typename acc_t>
struct VectorOf {
  typedef acc_t type __attribute__((vector_size(FGFA_VECTOR_BYTES)));
};
template <typename acc_t>
using Vector = typename VectorOf<acc_t>::type;
#else
// A vector of one lane: plain loops, which the compiler may vectorize.
template <typename acc_t>
using Vector = acc_t;
#endif

template <typename acc_t>
constexpr int kLanes = sizeof(Vector<acc_t>) / sizeof(acc_t);

// Reads as many values as V has lanes; V is a vector, or acc_t for the last channels.
template <typename V, typename scalar_t>
inline V load(const scalar_t* row) {
  using acc_t = accumulate_t<scalar_t>;
  V values;
  if constexpr (std::is_same_v<V, acc_t>) {
    values = static_cast<acc_t>(*row);
  } else if constexpr (std::is_same_v<scalar_t, acc_t>) {
    std::memcpy(&values, row, sizeof(V));
  } else if constexpr (std::is_same_v<scalar_t, BFloat16>) {
    typedef uint32_t Int __attribute__((vector_size(FGFA_VECTOR_BYTES)));
#ifdef FGFA_WIDEN
    const Int bits = (Int)FGFA_WIDEN(row) << 16;
#else
    typedef uint16_t Short __attribute__((vector_size(FGFA_VECTOR_BYTES / 2)));
    Short narrow;
    std::memcpy(&narrow, row, sizeof(narrow));
    const Int bits = __builtin_convertvector(narrow, Int) << 16;
#endif
    std::memcpy(&values, &bits, sizeof(V));
  } else {
#ifdef FGFA_LOAD_HALF
    values = FGFA_LOAD_HALF(row);
#else
    for (int lane = 0; lane < kLanes<acc_t>; ++lane) {
      values[lane] = static_cast<acc_t>(row[lane]);
    }
#endif
  }
  return values;
}

template <typename V, typename acc_t>
inline V broadcast(acc_t value) {
  return V{} + value;
}

template <typename acc_t>
inline acc_t sum_of_lanes(const Vector<acc_t>& values) {
  acc_t lanes[kLanes<acc_t>];
  std::memcpy(lanes, &values, sizeof(values));
  acc_t sum = 0;
  for (const acc_t lane : lanes) {
    sum += lane;
  }
  return sum;
}

template <typename V, int kVectors, typename scalar_t, typename acc_t>
inline void add_block(const Tap<scalar_t>* taps, int64_t count, int64_t channel, acc_t* total) {
  constexpr int kStep = sizeof(V) / sizeof(acc_t);
  V sum[kVectors];
  for (int i = 0; i < kVectors; ++i) {
    sum[i] = load<V>(total + channel + i * kStep);
  }
  for (int64_t t = 0; t < count; ++t) {
    const scalar_t* row = taps[t].row + channel;
    const V factor = broadcast<V>(taps[t].factor);
    for (int i = 0; i < kVectors; ++i) {
      sum[i] += factor * load<V>(row + i * kStep);
    }
  }
  for (int i = 0; i < kVectors; ++i) {
    const V value = sum[i];
    std::memcpy(total + channel + i * kStep, &value, sizeof(V));
  }
}

template <typename scalar_t, typename acc_t = accumulate_t<scalar_t>>
void add(const Tap<scalar_t>* taps, int64_t count, int64_t channels, acc_t* total) {
  using V = Vector<acc_t>;
  constexpr int kVectors = 8;
  int64_t c = 0;
  for (; c + kVectors * kLanes<acc_t> <= channels; c += kVectors * kLanes<acc_t>) {
    add_block<V, kVectors>(taps, count, c, total);
  }
  for (; c + kLanes<acc_t> <= channels; c += kLanes<acc_t>) {
    add_block<V, 1>(taps, count, c, total);
  }
  for (; c < channels; ++c) {
    add_block<acc_t, 1>(taps, count, c, total);
  }
}

// What sum_over_channels() sums: kSums products at a time, of as many channels as V has lanes.
template <typename scalar_t>
struct Dots {
  static constexpr int kSums = kCorners;
  const Tap<scalar_t>* corners;
  const scalar_t* other;

  template <typename V>
  void add(int64_t c, V* sums) const {
    const V value = load<V>(other + c);
    for (int k = 0; k < kCorners; ++k) {
      sums[k] += value * load<V>(corners[k].row + c);
    }
  }
};

template <typename scalar_t>
struct Square {
  static constexpr int kSums = 1;
  const scalar_t* row;

  template <typename V>
  void add(int64_t c, V* sums) const {
    const V value = load<V>(row + c);
    sums[0] += value * value;
  }
};

template <typename V, typename scalar_t>
inline V warp(const Tap<scalar_t>* corners, int64_t c) {
  V warped = broadcast<V>(corners[0].factor) * load<V>(corners[0].row + c);
  for (int k = 1; k < kCorners; ++k) {
    warped += broadcast<V>(corners[k].factor) * load<V>(corners[k].row + c);
  }
  return warped;
}

template <typename scalar_t>
struct Cosine {
  static constexpr int kSums = 2;
  const Tap<scalar_t>* corners;
  const scalar_t* key;

  template <typename V>
  void add(int64_t c, V* sums) const {
    const V warped = warp<V>(corners, c);
    sums[0] += warped * load<V>(key + c);
    sums[1] += warped * warped;
  }
};

template <typename scalar_t>
struct WarpedDots {
  static constexpr int kSums = 2 * kCorners;
  const Tap<scalar_t>* corners;
  const scalar_t* key;

  template <typename V>
  void add(int64_t c, V* sums) const {
    const V warped = warp<V>(corners, c);
    const V key_value = load<V>(key + c);
    for (int k = 0; k < kCorners; ++k) {
      const V corner = load<V>(corners[k].row + c);
      sums[k] += key_value * corner;
      sums[kCorners + k] += warped * corner;
    }
  }
};

// Sums over all channels, through kChains independent sums so that additions overlap.
template <int kChains, typename acc_t, typename Body>
inline void sum_over_channels(const Body& body, int64_t channels, acc_t* result) {
  using V = Vector<acc_t>;
  constexpr int kLanesOfV = kLanes<acc_t>;
  V sums[kChains][Body::kSums];
  for (auto& chain : sums) {
    for (V& sum : chain) {
      sum = V{};
    }
  }
  int64_t c = 0;
  for (; c + kChains * kLanesOfV <= channels; c += kChains * kLanesOfV) {
    for (int chain = 0; chain < kChains; ++chain) {
      body.add(c + chain * kLanesOfV, sums[chain]);
    }
  }
  for (; c + kLanesOfV <= channels; c += kLanesOfV) {
    body.add(c, sums[0]);
  }
  acc_t rest[Body::kSums] = {};
  for (; c < channels; ++c) {
    body.add(c, rest);
  }
  for (int i = 0; i < Body::kSums; ++i) {
    for (int chain = 1; chain < kChains; ++chain) {
      sums[0][i] += sums[chain][i];
    }
    result[i] = sum_of_lanes<acc_t>(sums[0][i]) + rest[i];
  }
}

template <typename scalar_t, typename acc_t = accumulate_t<scalar_t>>
CosineSums<acc_t> cosine_sums(const Tap<scalar_t>* corners, const scalar_t* key, int64_t channels) {
  acc_t sums[2];
  sum_over_channels<2>(Cosine<scalar_t>{corners, key}, channels, sums);
  return {sums[0], sums[1]};
}

template <typename scalar_t, typename acc_t = accumulate_t<scalar_t>>
EmbeddingDots<acc_t> embedding_dots(const Tap<scalar_t>* corners, const scalar_t* key,
                                    int64_t channels) {
  acc_t s[2 * kCorners];
  sum_over_channels<1>(WarpedDots<scalar_t>{corners, key}, channels, s);
  return {{s[0], s[1], s[2], s[3]}, {s[4], s[5], s[6], s[7]}};
}

template <typename scalar_t, typename acc_t = accumulate_t<scalar_t>>
Corners<acc_t> dots(const Tap<scalar_t>* corners, const scalar_t* other, int64_t channels) {
  acc_t s[kCorners];
  sum_over_channels<2>(Dots<scalar_t>{corners, other}, channels, s);
  return {s[0], s[1], s[2], s[3]};
}

template <typename scalar_t, typename acc_t = accumulate_t<scalar_t>>
acc_t square(const scalar_t* row, int64_t channels) {
  acc_t sum;
  sum_over_channels<4>(Square<scalar_t>{row}, channels, &sum);
  return sum;
}

template <typename scalar_t, typename acc_t = accumulate_t<scalar_t>>
void store(const acc_t* total, int64_t channels, scalar_t* row) {
  for (int64_t c = 0; c < channels; ++c) {
    row[c] = static_cast<scalar_t>(total[c]);
  }
}

template <typename scalar_t>
const RowKernels<scalar_t>& kernels() {
  static constexpr RowKernels<scalar_t> table = {
      &add<scalar_t>,  &cosine_sums<scalar_t>, &embedding_dots<scalar_t>,
      &dots<scalar_t>, &square<scalar_t>,      &store<scalar_t>};
  return table;
}

template const RowKernels<float>& kernels<float>();
template const RowKernels<double>& kernels<double>();
template const RowKernels<Half>& kernels<Half>();
template const RowKernels<BFloat16>& kernels<BFloat16>();

}  // namespace FGFA_CAPABILITY
}  // namespace fgfa
