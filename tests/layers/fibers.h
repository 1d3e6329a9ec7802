// Runs the threads of a CUDA grid on the CPU, for tests. The threads of a block are fibers that
// take turns: each runs until it ends or until it must wait for the threads of its warp or block.
// Whoever does not reach a collective call that the others wait in, fails the grid.

#pragma once

#include <torch/csrc/stable/tensor.h>
#include <ucontext.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <functional>
#include <stdexcept>
#include <vector>

#include "cuda/thread_team.h"

namespace fgfa {

class FiberBlock {
 public:
  FiberBlock() : fibers_(kThreads), stacks_(kThreads), states_(kThreads) {
    for (auto& stack : stacks_) stack.resize(kStackSize);
  }

  // Runs body(thread) as every thread of a block. reversed: the last thread goes first.
  // Returns whether no thread was left waiting.
  bool run(const std::function<void(int)>& body, bool reversed) {
    body_ = &body;
    for (int thread = 0; thread < kThreads; ++thread) {
      states_[thread] = State::kReady;
      getcontext(&fibers_[thread]);
      fibers_[thread].uc_stack.ss_sp = stacks_[thread].data();
      fibers_[thread].uc_stack.ss_size = kStackSize;
      fibers_[thread].uc_link = &main_;
      const auto self = reinterpret_cast<uintptr_t>(this);
      makecontext(&fibers_[thread], reinterpret_cast<void (*)()>(&FiberBlock::enter), 3,
                  static_cast<unsigned>(self >> 32), static_cast<unsigned>(self), thread);
    }
    do {
      for (int i = 0; i < kThreads; ++i) {
        resume(reversed ? kThreads - 1 - i : i);
      }
    } while (release());
    return all_are(0, kThreads, State::kDone);
  }

  template <typename T>
  T shuffle_xor(int thread, T value, int mask) {
    std::memcpy(slots_[thread], &value, sizeof(T));
    wait(thread, State::kInWarp);
    std::memcpy(&value, slots_[thread ^ mask], sizeof(T));
    wait(thread, State::kInWarp);
    return value;
  }

  void sync(int thread) { wait(thread, State::kInBlock); }

  void* shared() { return shared_; }

 private:
  enum class State { kReady, kInWarp, kInBlock, kDone };
  static constexpr size_t kStackSize = 64 * 1024;

  static void enter(unsigned high, unsigned low, int thread) {
    auto* const self = reinterpret_cast<FiberBlock*>(static_cast<uintptr_t>(high) << 32 | low);
    (*self->body_)(thread);
    self->states_[thread] = State::kDone;
  }

  void resume(int thread) {
    if (states_[thread] == State::kReady) swapcontext(&main_, &fibers_[thread]);
  }

  void wait(int thread, State state) {
    states_[thread] = state;
    swapcontext(&fibers_[thread], &main_);
  }

  bool all_are(int first, int last, State state) const {
    for (int thread = first; thread < last; ++thread) {
      if (states_[thread] != state) return false;
    }
    return true;
  }

  // Lets the threads go on that waited for threads which all have come; false if there are none.
  bool release() {
    bool any = release(0, kThreads, State::kInBlock);
    for (int first = 0; first < kThreads; first += kWarp) {
      any |= release(first, first + kWarp, State::kInWarp);
    }
    return any;
  }

  bool release(int first, int last, State state) {
    if (!all_are(first, last, state)) return false;
    for (int thread = first; thread < last; ++thread) states_[thread] = State::kReady;
    return true;
  }

  const std::function<void(int)>* body_ = nullptr;
  ucontext_t main_;
  std::vector<ucontext_t> fibers_;
  std::vector<std::vector<char>> stacks_;
  std::vector<State> states_;
  alignas(16) char slots_[kThreads][16];
  alignas(16) char shared_[kThreads * 16];
};

struct FiberContext {
  FiberBlock* fibers;
  int64_t block_index, block_count;
  int thread_index;

  int64_t block() const { return block_index; }
  int64_t blocks() const { return block_count; }
  int thread() const { return thread_index; }
  void sync() const { fibers->sync(thread_index); }

  template <typename T>
  T shuffle_xor(T value, int mask) const {
    return fibers->shuffle_xor(thread_index, value, mask);
  }
  template <typename T>
  T* shared() const {
    return static_cast<T*>(fibers->shared());
  }
  template <typename T>
  void atomic_add(T* address, T value) const {
    *address += value;
  }
};

// Runs the grid of a kernel, block after block.
class FiberLaunch {
 public:
  static inline int64_t max_blocks = 1 << 20;
  static inline bool reversed = false;  // the last block and the last thread go first

  FiberLaunch() = default;
  explicit FiberLaunch(const torch::stable::Tensor&) {}

  template <typename Kernel>
  void operator()(const Kernel& kernel) const {
    static FiberBlock fibers;
    const int64_t blocks =
        std::min((kernel.items() + Kernel::kItems - 1) / Kernel::kItems, max_blocks);
    for (int64_t i = 0; i < blocks; ++i) {
      const int64_t block = reversed ? blocks - 1 - i : i;
      const auto body = [&](int thread) { kernel(FiberContext{&fibers, block, blocks, thread}); };
      if (!fibers.run(body, reversed)) {
        throw std::runtime_error("A thread waits for another one that has ended.");
      }
    }
  }
};

}  // namespace fgfa
