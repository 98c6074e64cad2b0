"""Which operations of PyTorch only compute, within their own memory."""

import re

# They reach files and other computers, or change what the whole process goes by.
REACHING = frozenset(
    {"from_file", "save", "rpc_async", "rpc_sync", "rpc_remote", "manual_seed"}
)
# They trust indices or sizes that they are given, without looking; what is needed
# for training alone is among them.
TRUSTING = re.compile(
    r".*backward.*|.*sparse.*|.*_(coo|csr|csc|bsr|bsc)(_.*)?|.*unsafe.*|.*resize.*"
    r"|set_?|set_data|set_source.*|.*segment_reduce.*|.*_copy_from.*|data"
)
# Of those that PyTorch keeps to itself, what ordinary networks are made of.
INTERNAL = re.compile(
    r"__\w+__|_softmax|_log_softmax|_to_copy|_convolution|_conv_depthwise2d"
    r"|_native_batch_norm_legit(_no_training)?|_batch_norm_no_update|_weight_norm"
    r"|_weight_norm_interface|_upsample_\w+|_adaptive_avg_pool[23]d|_fft_\w+"
    r"|_scaled_dot_product_\w+|_native_multi_head_attention"
    r"|_transformer_encoder_layer_fwd|_fused_rms_norm|_cdist_forward|_prelu_kernel"
    r"|_assert_tensor_metadata|_assert_scalar|_assert_async|_local_scalar_dense"
    r"|_shape_as_tensor|_reshape_alias|_linalg_\w+|_stack|_set_item|_euclidean_dist"
    r"|_unsafe_view|_pad_\w+|_trilinear"
)


def only_computes(name: str) -> bool:
    """Whether an operation of the namespaces ``aten`` and ``prims`` is let through.

    Parameters
    ----------
    name : str
        Without namespace and overload.
    """
    if name.startswith("_"):
        return bool(INTERNAL.fullmatch(name))
    return name not in REACHING and not TRUSTING.fullmatch(name)
