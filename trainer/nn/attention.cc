#include "trainer/nn/attention.h"

#include <dlfcn.h>

#include <algorithm>
#include <cmath>

#include "trainer/nn/softmax_rows.h"

namespace fairlead::trainer {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::tensor_list;

// Fortran's product of two matrices that lie column by column (netlib.org/blas).
using BlasProduct = void (*)(const char* form_a, const char* form_b, const int* m, const int* n,
                             const int* k, const float* alpha, const float* a, const int* lda,
                             const float* b, const int* ldb, const float* beta, float* c,
                             const int* ldc);

BlasProduct FindBlas() {
  static const auto product = reinterpret_cast<BlasProduct>(dlsym(RTLD_DEFAULT, "sgemm_"));
  return product;
}

struct Matrix {
  float* at;
  int64_t stride;  // Floats from row to row.
};

// c (m × n) = factor · a · b, where 'T' says that a or b lies transposed. Rows are contiguous,
// which to Fortran is a transposed matrix: cᵀ = bᵀ · aᵀ.
void Multiply(char form_a, char form_b, int64_t m, int64_t n, int64_t k, float factor,
              const Matrix& a, const Matrix& b, const Matrix& c) {
  const int rows = static_cast<int>(m), columns = static_cast<int>(n), inner = static_cast<int>(k);
  const int stride_a = static_cast<int>(a.stride), stride_b = static_cast<int>(b.stride),
            stride_c = static_cast<int>(c.stride);
  const float none = 0;
  FindBlas()(&form_b, &form_a, &columns, &rows, &inner, &factor, b.at, &stride_b, a.at, &stride_a,
             &none, c.at, &stride_c);
}

// Sizes of one call, and where the attention weights of each sequence begin.
struct Layout {
  Sequences sequences;
  int64_t heads, width, part;    // part = width / heads.
  std::vector<int64_t> squares;  // Σ length² of the sequences before; with an end.

  Layout(const torch::Tensor& input, std::vector<int64_t> offsets, int64_t head_count)
      : sequences{std::move(offsets)},
        heads(head_count),
        width(input.size(1) / 3),
        part(width / heads),
        squares{0} {
    for (int64_t i = 0; i < sequences.count(); ++i) {
      squares.push_back(squares.back() + sequences.Length(i) * sequences.Length(i));
    }
  }
  float scale() const { return 1 / std::sqrt(static_cast<float>(part)); }
  // Queries (which 0), keys (1) or values (2) of a head.
  Matrix Input(float* base, int64_t sequence, int64_t head, int64_t which) const {
    return {base + sequences.offsets[sequence] * 3 * width + which * width + head * part,
            3 * width};
  }
  Matrix Output(float* base, int64_t sequence, int64_t head) const {
    return {base + sequences.offsets[sequence] * width + head * part, width};
  }
  Matrix Weights(float* base, int64_t sequence, int64_t head) const {
    const int64_t length = sequences.Length(sequence);
    return {base + heads * squares[sequence] + head * length * length, length};
  }
};

class PackedAttention : public torch::autograd::Function<PackedAttention> {
 public:
  static torch::Tensor forward(AutogradContext* context, const torch::Tensor& input,
                               const std::vector<int64_t>& offsets, int64_t heads) {
    const Layout layout(input, offsets, heads);
    const torch::Tensor weights = torch::empty({heads * layout.squares.back()}, input.options());
    torch::Tensor output = torch::empty({input.size(0), layout.width}, input.options());
    float* const in = input.data_ptr<float>();
    float* const softmax = weights.data_ptr<float>();
    float* const out = output.data_ptr<float>();
    at::parallel_for(0, layout.sequences.count(), 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const int64_t length = layout.sequences.Length(i);
        for (int64_t head = 0; head < heads; ++head) {
          const Matrix share = layout.Weights(softmax, i, head);
          Multiply('N', 'T', length, length, layout.part, layout.scale(),
                   layout.Input(in, i, head, 0), layout.Input(in, i, head, 1), share);
          SoftmaxRows(length, length, share.at);
          Multiply('N', 'N', length, layout.part, length, 1, share, layout.Input(in, i, head, 2),
                   layout.Output(out, i, head));
        }
      }
    });
    context->save_for_backward({input, weights});
    context->saved_data["offsets"] = offsets;
    context->saved_data["heads"] = heads;
    return output;
  }

  static tensor_list backward(AutogradContext* context, tensor_list slopes) {
    const auto saved = context->get_saved_variables();
    const int64_t heads = context->saved_data["heads"].toInt();
    const Layout layout(saved[0], context->saved_data["offsets"].toIntVector(), heads);
    const torch::Tensor of_output = slopes[0].contiguous();
    torch::Tensor of_input = torch::empty_like(saved[0]);
    float* const in = saved[0].data_ptr<float>();
    float* const softmax = saved[1].data_ptr<float>();
    float* const d_out = of_output.data_ptr<float>();
    float* const d_in = of_input.data_ptr<float>();
    at::parallel_for(0, layout.sequences.count(), 1, [&](int64_t begin, int64_t end) {
      std::vector<float> buffer;
      for (int64_t i = begin; i < end; ++i) {
        const int64_t length = layout.sequences.Length(i), part = layout.part;
        buffer.resize(std::max(buffer.size(), static_cast<size_t>(length * length)));
        const Matrix d_share = {buffer.data(), length};
        for (int64_t head = 0; head < heads; ++head) {
          const Matrix share = layout.Weights(softmax, i, head);
          const Matrix d_gathered = layout.Output(d_out, i, head);
          Multiply('T', 'N', length, part, length, 1, share, d_gathered,
                   layout.Input(d_in, i, head, 2));
          Multiply('N', 'T', length, length, part, 1, d_gathered, layout.Input(in, i, head, 2),
                   d_share);
          SoftmaxSlopes(length, length, share.at, d_share.at);
          Multiply('N', 'N', length, part, length, layout.scale(), d_share,
                   layout.Input(in, i, head, 1), layout.Input(d_in, i, head, 0));
          Multiply('T', 'N', length, part, length, layout.scale(), d_share,
                   layout.Input(in, i, head, 0), layout.Input(d_in, i, head, 1));
        }
      }
    });
    return {of_input, torch::Tensor(), torch::Tensor()};
  }
};

}  // namespace

torch::Tensor PaddedAttention(const torch::Tensor& queries_keys_values, const Sequences& sequences,
                              int64_t heads) {
  const int64_t width = queries_keys_values.size(1) / 3, part = width / heads;
  const int64_t count = sequences.count();
  int64_t longest = 0;
  for (int64_t i = 0; i < count; ++i) longest = std::max(longest, sequences.Length(i));
  std::vector<int64_t> places;
  torch::Tensor mask =
      torch::full({count, 1, 1, longest}, -INFINITY, queries_keys_values.options().device("cpu"));
  for (int64_t i = 0; i < count; ++i) {
    for (int64_t t = 0; t < sequences.Length(i); ++t) places.push_back(i * longest + t);
    mask[i].slice(2, 0, sequences.Length(i)).fill_(0);
  }
  const torch::Device device = queries_keys_values.device();
  const torch::Tensor slots = torch::tensor(places, torch::kInt64).to(device);
  const torch::Tensor padded =
      torch::zeros({count * longest, 3 * width}, queries_keys_values.options())
          .index_copy(0, slots, queries_keys_values)
          .view({count, longest, 3, heads, part})
          .permute({2, 0, 3, 1, 4});  // (3, sequences, heads, places, part).
  const double scale = 1 / std::sqrt(static_cast<double>(part));
  const torch::Tensor scores = torch::matmul(padded[0] * scale, padded[1].transpose(2, 3));
  const torch::Tensor gathered = torch::matmul((scores + mask.to(device)).softmax(3), padded[2]);
  return gathered.transpose(1, 2).reshape({count * longest, width}).index_select(0, slots);
}

torch::Tensor Attention(const torch::Tensor& queries_keys_values, const Sequences& sequences,
                        int64_t heads) {
  const bool packs = queries_keys_values.is_cpu() && FindBlas() != nullptr &&
                     queries_keys_values.scalar_type() == torch::kFloat32;
  if (!packs) {
    return PaddedAttention(queries_keys_values, sequences, heads);
  }
  return PackedAttention::apply(queries_keys_values.contiguous(), sequences.offsets, heads);
}

}  // namespace fairlead::trainer
