// One tracing of a step: which graph is being built, whether for training, and which states it touches.
#pragma once

#include <functional>
#include <map>
#include <vector>

#include "descent/graph/op.h"
#include "descent/nn/state.h"

namespace descent::nn {

class Decoding;
class Module;

// The random numbers of a run: a key (the seed) and a counter that every training step advances. Two u32[2] states,
// so that a resumed run draws what the uninterrupted one would have drawn.
struct RandomStates {
  explicit RandomStates(uint64_t seed);
  StatePtr key, counter;
};

class Pass {
 public:
  Pass(Graph& graph, bool training, uint64_t seed, RandomStates* random);

  Graph& graph() { return graph_; }
  bool training() const { return training_; }
  uint64_t seed() const { return seed_; }  // what initial values are drawn from

  // The state's value before the step, as a tensor. The first call makes a graph input of it.
  Tensor read(const StatePtr& state);
  // Its value after the step. The last call counts.
  void assign(const StatePtr& state, Tensor value);

  // Layers call this for their parameters; minimize() asks for those that the loss may depend on.
  Tensor parameter(const ParameterPtr& parameter);
  const std::vector<ParameterPtr>& parameters() const { return parameters_; }

  // How many places of each sequence count, i32 [B], where the sequences of a batch have lengths of their own; no
  // tensor: all do. Layers that change the number of places change this (nn/lengths.h).
  Tensor lengths() const { return lengths_; }
  void set_lengths(Tensor lengths) { lengths_ = lengths; }

  // Another sequence that layers look at (nn/cross_attention.h), as an encoder made it, f32 [B, S, features], and how
  // many of its places count, i32 [B]; no tensors: there is none.
  Tensor source() const { return source_; }
  Tensor source_lengths() const { return source_lengths_; }
  void set_source(Tensor source, Tensor lengths) { source_ = source, source_lengths_ = lengths; }

  // Random numbers: the run's key and counter as u32[2] tensors, and a fresh stream number for each use, so that two
  // dropouts never draw the same. Counted in the order of tracing, which is the same for every tracing of one net.
  Tensor random_key();
  Tensor random_counter();
  uint32_t next_stream() { return streams_++; }

  // Traces for one new place of sequences (nn/decoding.h), from here on; null: for whole sequences.
  void decode(Decoding* decoding) { decoding_ = decoding; }
  Decoding* decoding() const { return decoding_; }

  // The layer being traced: nodes made while a Scope lives belong to it, and states made in it take its path as name.
  class Scope {
   public:
    Scope(Pass& pass, std::string_view name) : pass_(pass) { pass_.graph_.enter_scope(name); }
    ~Scope() { pass_.graph_.leave_scope(); }
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    Pass& pass_;
  };
  const std::string& layer_path() const { return graph_.scope_name(graph_.scope()); }  // "net.hidden"
  std::string path(std::string_view leaf) const;  // "net.hidden.weight" for leaf "weight" in scope "net.hidden"

  // The layers as they were traced, each before those inside it: for summaries, and for finding where a number went
  // wrong. trace_layer() keeps this list.
  struct TracedLayer {
    std::string path;
    Module* module;
    Tensor input, output;
  };
  std::vector<TracedLayer>& layers() { return layers_; }

  struct Touched {
    StatePtr state;
    Tensor before;
    Tensor after;  // no tensor: only read
  };
  const std::vector<Touched>& touched() const { return touched_; }

 private:
  Touched& touch(const StatePtr& state);

  Graph& graph_;
  bool training_;
  uint64_t seed_;
  RandomStates* random_;
  uint32_t streams_ = 0;
  Decoding* decoding_ = nullptr;
  Tensor lengths_, source_, source_lengths_;
  std::vector<Touched> touched_;
  std::vector<ParameterPtr> parameters_;
  std::vector<TracedLayer> layers_;
};

}  // namespace descent::nn
