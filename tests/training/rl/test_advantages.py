import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from osler.training.rl.advantages import clipped_loss, generalised_advantages, token_rewards, whitened


def mask_of(lengths, total):
    return (torch.arange(total)[None] < torch.tensor(lengths)[:, None]).float()


def brute_force(rewards, values, length, gamma, lam):
    """Equation 16 written out: a sum over all later steps."""
    delta = [rewards[t] + gamma * (values[t + 1] if t + 1 < length else 0.0) - values[t] for t in range(length)]
    return [sum((gamma * lam) ** (k - t) * delta[k] for k in range(t, length)) for t in range(length)]


@settings(deadline=None)
@given(st.integers(0, 10_000), st.floats(0.1, 1), st.floats(0, 1), st.lists(st.integers(1, 6), min_size=1, max_size=4))
def test_generalised_advantages_against_the_sum(seed, gamma, lam, lengths):
    random = np.random.default_rng(seed)
    rewards, values = random.normal(size=(2, len(lengths), 6))
    mask = mask_of(lengths, 6).double()
    advantages, returns = generalised_advantages(
        torch.from_numpy(rewards) * mask, torch.from_numpy(values), mask, gamma=gamma, gae_lambda=lam
    )
    for row, length in enumerate(lengths):
        expected = brute_force(rewards[row], values[row], length, gamma, lam)
        assert advantages[row, :length].tolist() == pytest.approx(expected)
        assert returns[row, :length].tolist() == pytest.approx(np.add(expected, values[row, :length]).tolist())
        assert not advantages[row, length:].any()
        assert not returns[row, length:].any()


def test_undiscounted_returns_are_what_is_still_to_come():
    rewards, mask = torch.tensor([[0.0, -0.5, 2.0, 9.0]]), mask_of([3], 4)
    advantages, returns = generalised_advantages(rewards * mask, torch.zeros(1, 4), mask, gamma=1.0, gae_lambda=1.0)
    assert returns.tolist() == [[1.5, 1.5, 2.0, 0.0]]
    assert torch.equal(advantages, returns)


def test_the_score_comes_at_the_last_token_and_divergence_at_each():
    rewards = token_rewards(torch.tensor([1.0, 2.0]), torch.full((2, 3), 0.5), mask_of([3, 1], 3), beta=0.1)
    torch.testing.assert_close(rewards, torch.tensor([[-0.05, -0.05, 0.95], [1.95, 0.0, 0.0]]))


def test_a_completion_without_tokens_has_no_reward():
    rewards = token_rewards(torch.tensor([1.0, 2.0]), torch.zeros(2, 3), mask_of([0, 2], 3), beta=0.1)
    torch.testing.assert_close(rewards, torch.tensor([[0.0, 0.0, 0.0], [0.0, 2.0, 0.0]]))


def test_whitening():
    mask = mask_of([2, 3], 3)
    values = torch.tensor([[1.0, 2.0, 99.0], [3.0, 4.0, 5.0]])
    white = whitened(values, mask)
    inside = white[mask.bool()]
    assert float(inside.mean()) == pytest.approx(0, abs=1e-6)
    assert float(inside.var(unbiased=False)) == pytest.approx(1, abs=1e-5)
    assert not white[~mask.bool()].any()
    assert not whitened(torch.full((2, 3), 7.0), mask).any(), "equal values: no advantage, no NaN"


def test_clipping_against_the_formula():
    torch.manual_seed(0)
    shape, mask = (3, 4), mask_of([4, 2, 3], 4)
    new, old, advantages, values, returns, entropy = torch.randn(6, *shape)
    loss = clipped_loss(new, old, advantages, values, returns, entropy, mask, clip=0.2)
    total = []
    for i, j in mask.nonzero().tolist():
        ratio = float((new[i, j] - old[i, j]).exp())
        total.append(min(ratio * advantages[i, j], min(max(ratio, 0.8), 1.2) * advantages[i, j]))
    assert float(loss.policy) == pytest.approx(-float(sum(total)) / 9, rel=1e-5)
    assert float(loss.value) == pytest.approx(float(((values - returns) ** 2)[mask.bool()].mean()), rel=1e-5)
    assert float(loss.entropy) == pytest.approx(float(entropy[mask.bool()].mean()), rel=1e-5)


def test_gradient_of_a_first_step_is_the_policy_gradient():
    """With ρ = 1 the clipped objective has the gradient of `A log π`; beyond the bounds it has none."""
    advantages, mask = torch.tensor([[2.0, -1.0]]), torch.ones(1, 2)
    logps = torch.tensor([[-1.0, -2.0]], requires_grad=True)
    zero = torch.zeros(1, 2)
    clipped_loss(logps, logps.detach(), advantages, zero, zero, zero, mask, clip=0.2).policy.backward()
    torch.testing.assert_close(logps.grad, -advantages / 2)
    far = (logps.detach() + torch.tensor([[1.0, -1.0]])).requires_grad_()
    loss = clipped_loss(far, logps.detach(), advantages, zero, zero, zero, mask, clip=0.2)
    loss.policy.backward()
    assert not far.grad.any()
    assert float(loss.clipped) == 1
