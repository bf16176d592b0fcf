"""What `stepdb.torch` collects, compared with plain loops over the numbers. Run by
integrations_test.py, with an interpreter that has torch."""

import math

import torch
from stepdb import _values, wandb
from stepdb.torch import watch


class Rows(list):
    """Instead of a run."""

    def log(self, data, step=None):
        self.append((step, _values.take(data)[0]))


class Tupled(torch.nn.Module):
    def forward(self, x):
        return {"kind": torch.tensor([1]), "out": (x * 2,)}


def numbers(tensors):
    return [value for tensor in tensors for value in tensor.detach().flatten().tolist()]


def assert_close(got, want):
    assert math.isclose(got, want, rel_tol=1e-5, abs_tol=1e-12), (got, want)


def root(values):
    return math.sqrt(sum(value * value for value in values))


def check_which_passes_count():
    torch.manual_seed(3)
    model = torch.nn.Sequential(torch.nn.Linear(3, 4))
    rows = Rows()
    hook = watch(model, rows, every=2)
    for step in range(4):
        inputs = torch.randn(5, 3), torch.randn(7, 3)  # two passes for one step
        for x in inputs:
            model(x).sum().backward()
        model.eval()
        model(1000 * x)  # does not count
        model.train()
        assert hook.log(step) == (step % 2 == 0)
        if step % 2 == 0:
            weight, bias = model[0].weight, model[0].bias
            values = numbers(torch.nn.functional.linear(x, weight, bias) for x in inputs)
            assert_close(rows[-1][1]["layers/0/act_rms"], root(values) / math.sqrt(len(values)))
            assert_close(rows[-1][1]["layers/0/act_max"], max(map(abs, values)))
    assert [step for step, _ in rows] == [0, 2]
    hook.remove()
    model(x)
    assert not hook.collect().keys() & {"layers/0/act_rms"}


def check_by_hand():
    torch.manual_seed(3)
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.Linear(4, 2),
                                Tupled())
    rows = Rows()
    hook = watch(model, rows, prefix="at/")
    x = torch.randn(6, 3)
    model(x)["out"][0].square().sum().backward()
    hook.log(7)
    [(step, row)] = rows
    assert step == 7
    for layer in (0, 2):
        parameters = list(model[layer].parameters())
        gradients = numbers(one.grad for one in parameters)
        assert_close(row[f"at/{layer}/grad_norm"], root(gradients))
        assert_close(row[f"at/{layer}/grad_max"], max(map(abs, gradients)))
        assert_close(row[f"at/{layer}/weight_norm"], root(numbers(parameters)))
    at = x
    for layer in range(3):
        at = model[layer](at)
        values = numbers([at])
        assert_close(row[f"at/{layer}/act_rms"], root(values) / math.sqrt(len(values)))
        assert_close(row[f"at/{layer}/act_max"], max(map(abs, values)))
        assert_close(row[f"at/{layer}/act_zeros"], values.count(0) / len(values))
    assert_close(row["at/3/act_max"], 2 * max(map(abs, values)))
    assert len(row) == 2 * 3 + 4 * 3, row


def check_what_is_not_finite_shows():
    model = torch.nn.Sequential(torch.nn.Linear(1, 2))
    rows = Rows()
    hook = watch(model, rows, only="^0$", weights=False)
    with torch.no_grad():
        model[0].weight[0] = math.nan
    model(torch.ones(1, 1)).sum().backward()
    model[0].weight.grad[1] = math.inf
    hook.log(1)
    [(_, row)] = rows
    assert math.isnan(row["layers/0/act_rms"]) and math.isnan(row["layers/0/act_max"])
    assert row["layers/0/grad_norm"] == row["layers/0/grad_max"] == math.inf
    assert "layers/0/weight_norm" not in row


class Far(torch.Tensor):
    """A tensor that seems to be on an accelerator, and tells how often it was waited for."""

    waited = 0

    device = torch.device("cuda")
    is_cpu = False

    def item(self):
        raise AssertionError("a wait for one value")

    def tolist(self):
        Far.waited += 1
        return torch.Tensor.tolist(self.as_subclass(torch.Tensor))


def check_a_row_waits_once_for_each_type():
    values = {f"a/{n}": torch.tensor(n / 7).as_subclass(Far) for n in range(50)}
    values["b"] = 3.5
    values["c"] = torch.tensor([2], dtype=torch.int64).as_subclass(Far)
    taken, refused = _values.take(values)
    assert not refused
    assert Far.waited == 2, Far.waited
    assert list(taken) == list(values)
    assert taken["b"] == 3.5 and taken["c"] == 2.0
    assert all(taken[f"a/{n}"] == torch.tensor(n / 7).item() for n in range(50))


def check_wandb_watch():
    model = torch.nn.Sequential(torch.nn.Linear(2, 2))
    run = wandb.Run(wandb._NoRun("p", "r"), None)
    logged = []
    run._run = Rows()
    run._run.log = lambda row, step: logged.append((step, _values.take(row)[0]))
    run.watch(model, log="gradients", log_freq=2)
    for step in range(3):
        model(torch.ones(1, 2)).sum().backward()
        run.log({"loss": 1.0 * step})
    assert [len(row) for _, row in logged] == [3, 1, 3], logged
    assert_close(logged[0][1]["layers/0/grad_max"], 1.0)


if __name__ == "__main__":
    check_wandb_watch()
    check_which_passes_count()
    check_by_hand()
    check_what_is_not_finite_shows()
    check_a_row_waits_once_for_each_type()
    print("all is as by hand")
