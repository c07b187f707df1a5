"""Packed columns attend as a block-diagonal mask over all of them says, in every type and place."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from phenotype.networks.batches import SequenceBatch
from phenotype.networks.packing import attend, is_without_padding, pack
from phenotype.networks.positions import PADDING, READ_OUT, RECENT

N_HEADS, WIDTH = 2, 16
LENGTHS = (5, 1, 9, 3)


def batch_of(n_read_outs: int = 1, seed: int = 0) -> SequenceBatch:
    """Units of LENGTHS columns, ranks with ties, their last columns read-outs of random ranks."""
    draw = np.random.default_rng(seed)
    widest = max(LENGTHS)
    kind = np.full((len(LENGTHS), widest), PADDING)
    rank = np.full((len(LENGTHS), widest), 1 << 30)
    for unit, length in enumerate(LENGTHS):
        kind[unit, :length], rank[unit, :length] = RECENT, np.sort(draw.integers(0, 4, length))
        n_last = min(n_read_outs, length)
        kind[unit, length - n_last : length] = READ_OUT
        rank[unit, length - n_last : length] = draw.integers(0, 5, n_last)
    empty = dict.fromkeys(SequenceBatch._fields, torch.zeros(0))
    given = {"kind": kind, "rank": rank, "length": np.array(LENGTHS)}
    return SequenceBatch(**empty | {name: torch.from_numpy(array) for name, array in given.items()})


def parts(dtype: torch.dtype = torch.float32, device: str = "cpu") -> tuple[Tensor, Tensor, Tensor]:
    made = torch.Generator().manual_seed(1)
    drawn = torch.randn(3, sum(LENGTHS), N_HEADS, WIDTH, generator=made)
    q, k, v = drawn.to(device=device, dtype=dtype)
    return q, k, v


def by_hand(q: Tensor, k: Tensor, v: Tensor, batch: SequenceBatch, *, is_causal: bool) -> Tensor:
    """Softmax of scaled products in float32, column by column, over the columns that it may see."""
    q, k, v = (part.float().cpu() for part in (q, k, v))
    found = torch.zeros_like(v)
    begin = 0
    for unit, length in enumerate(LENGTHS):
        for i in range(length):
            seen = [
                j
                for j in range(length)
                if i == j
                or (is_causal and j < i)
                or (
                    not is_causal
                    and batch.rank[unit, j] <= batch.rank[unit, i]
                    and batch.kind[unit, j] != READ_OUT
                )
            ]
            at = begin + torch.tensor(seen)
            scores = (q[begin + i] * k[at]).sum(-1) / math.sqrt(WIDTH)
            found[begin + i] = (scores.softmax(0)[..., None] * v[at]).sum(0)
        begin += length
    return found


@pytest.mark.parametrize("is_causal", [True, False])
@pytest.mark.parametrize(("dtype", "within"), [(torch.float32, 1e-6), (torch.bfloat16, 2e-2)])
def test_attention_stays_within_units(is_causal: bool, dtype: torch.dtype, within: float) -> None:
    batch = batch_of(n_read_outs=2)
    q, k, v = parts(dtype)
    found = attend(q, k, v, pack(batch, is_causal=is_causal))
    assert found.shape == v.shape
    assert found.dtype == dtype
    expected = by_hand(q, k, v, batch, is_causal=is_causal)
    np.testing.assert_allclose(found.float().numpy(), expected.numpy(), atol=within)


def test_another_unit_changes_no_bit() -> None:
    packed = pack(batch_of(), is_causal=True)
    q, k, v = parts()
    before = attend(q, k, v, packed)
    k[: LENGTHS[0]], v[: LENGTHS[0]] = 9.0, 9.0
    after = attend(q, k, v, packed)
    assert torch.equal(before[LENGTHS[0] :], after[LENGTHS[0] :])


def test_columns_in_use_lie_end_to_end() -> None:
    packed = pack(batch_of(), is_causal=True)
    widest = max(LENGTHS)
    expected = [unit * widest + column for unit, length in enumerate(LENGTHS) for column in range(length)]
    assert packed.columns.tolist() == expected
    assert packed.place[packed.columns].tolist() == list(range(sum(LENGTHS)))
    assert packed.starts.tolist() == [0, 5, 6, 15, 18]
    assert packed.starts.dtype == torch.int32, "as the kernel wants it"


def test_the_kernel_is_called_with_what_it_takes() -> None:
    """On meta tensors: shapes and types of torch's own kernel for units of different length."""
    from torch.nn.attention.varlen import varlen_attn

    packed = pack(batch_of(), is_causal=True)
    q, k, v = parts(torch.bfloat16, "meta")
    starts = packed.starts.to("meta")
    y = varlen_attn(q, k, v, starts, starts, packed.longest, packed.longest, window_size=(-1, 0))
    assert isinstance(y, Tensor)
    assert (y.shape, y.dtype) == (v.shape, v.dtype)


def test_the_kernel_serves_half_precision_on_a_cuda_device_only() -> None:
    packed = pack(batch_of(), is_causal=True)
    assert not is_without_padding(parts(torch.bfloat16)[2], packed)
    assert not is_without_padding(parts()[2], packed)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device; none is present")
@pytest.mark.parametrize("is_causal", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_a_cuda_device_gives_what_a_cpu_gives(is_causal: bool, dtype: torch.dtype) -> None:
    batch = batch_of(n_read_outs=2)
    q, k, v = parts(dtype, "cuda")
    packed = pack(SequenceBatch(*(tensor.cuda() for tensor in batch)), is_causal=is_causal)
    assert is_without_padding(v, packed) == (is_causal and dtype != torch.float32)
    found = attend(q, k, v, packed)
    expected = by_hand(q, k, v, batch, is_causal=is_causal)
    np.testing.assert_allclose(found.float().cpu().numpy(), expected.numpy(), atol=2e-2)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device; none is present")
def test_gradients_pass_through_the_kernel() -> None:
    batch = batch_of()
    packed = pack(SequenceBatch(*(tensor.cuda() for tensor in batch)), is_causal=True)
    on_device = [part.requires_grad_() for part in parts(torch.bfloat16, "cuda")]
    attend(*on_device, packed).float().square().sum().backward()
    here = [part.requires_grad_() for part in parts()]
    attend(*here, pack(batch, is_causal=True)).square().sum().backward()
    for found, expected in zip(on_device, here, strict=True):
        assert found.grad is not None
        assert expected.grad is not None
        np.testing.assert_allclose(found.grad.float().cpu().numpy(), expected.grad.numpy(), atol=1e-1)
