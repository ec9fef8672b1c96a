"""Hugging Face's Trainer: pixels, eps, resume, and the history of a plain loop."""

from dataclasses import dataclass
from typing import ClassVar

import pytest
import torch

from rampart.errors import InvalidArgument, RunError
from rampart.integrations.robust import RobustLoss
from rampart.objectives.adversarial import StandardObjective, Trades
from rampart.objectives.noisy_labels import NoisyLabels
from rampart.objectives.twins import Twins
from rampart.runtime import scoped_seed
from rampart.schedules.auto import Auto
from rampart.schedules.hinge import TwoHinge
from rampart.units import Horizon

transformers = pytest.importorskip("transformers")

from rampart.integrations.transformers import PixelClassifier, RobustTrainer  # noqa: E402

MEAN = STD = (0.5, 0.4, 0.3)
EPOCHS, BATCH = 4, 8


def fresh():
    settings = transformers.ResNetConfig(
        embedding_size=8,
        hidden_sizes=[8, 16],
        depths=[1, 1],
        layer_type="basic",
        num_labels=3,
    )
    with scoped_seed(0):
        return transformers.ResNetForImageClassification(settings)


class Items(torch.utils.data.Dataset):
    def __init__(self, tensors):
        self.tensors = tensors

    def __len__(self):
        return len(self.tensors[0])

    def __getitem__(self, index):
        images, labels, indices = self.tensors
        return {"pixel_values": images[index], "labels": labels[index], "indices": indices[index]}


class Watched(RobustTrainer):
    """Records strength and loss of every call."""

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        loss = super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
        if model.training:
            self.seen = [
                *getattr(self, "seen", []),
                (self.robust.scheduler.eps, float(loss.detach())),
            ]
        return loss


def make(
    tmp_path, dataset, schedule=None, objective=None, callbacks=(), mean=MEAN, own=None, **options
):
    schedule = schedule or TwoHinge.at_fractions(0.25, 0.75)

    def robust_loss(model, horizon):
        return RobustLoss(
            model, 8 / 255, horizon, num_classes=3, schedule=schedule, objective=objective
        )

    settings = {
        "output_dir": str(tmp_path),
        "num_train_epochs": EPOCHS,
        "per_device_train_batch_size": BATCH,
        "learning_rate": 0.01,
        "lr_scheduler_type": "constant",
        "train_sampling_strategy": "sequential",
        "remove_unused_columns": False,
        "report_to": [],
        "use_cpu": True,
        "disable_tqdm": True,
        "save_strategy": "no",
        "optim": "sgd",
        "max_grad_norm": 0.0,
        "dataloader_pin_memory": False,
        **options,
    }
    return Watched(
        robust_loss=robust_loss,
        mean=mean,
        std=STD,
        **{
            "model": fresh(),
            "train_dataset": Items(dataset.tensors),
            "eval_dataset": Items(dataset.tensors),
            **(own or {}),
        },
        args=transformers.TrainingArguments(**settings),
        callbacks=list(callbacks),
    )


def plain_loop(dataset):
    model = PixelClassifier(fresh(), MEAN, STD).train()
    schedule = TwoHinge.at_fractions(0.25, 0.75)
    robust = RobustLoss(model, 8 / 255, Horizon(EPOCHS, 3), schedule=schedule)
    optimizer, seen = torch.optim.SGD(model.parameters(), lr=0.01), []
    for _ in range(EPOCHS):
        for parts in zip(*(t.split(BATCH) for t in dataset.tensors), strict=True):
            optimizer.zero_grad()
            loss = robust(*parts)
            seen.append((robust.scheduler.eps, float(loss.detach())))
            loss.backward()
            optimizer.step()
            robust.step()
    return seen


def test_the_history_of_a_plain_loop(dataset, tmp_path):
    trainer = make(tmp_path, dataset)
    trainer.train()
    expected = plain_loop(dataset)
    assert [eps for eps, _ in trainer.seen] == [eps for eps, _ in expected]
    assert [loss for _, loss in trainer.seen] == pytest.approx([loss for _, loss in expected])


def test_evaluation_is_at_clean_images(dataset, tmp_path):
    trainer = make(tmp_path, dataset)
    trainer.train()
    images, labels, _ = dataset.tensors
    with torch.no_grad():
        logits = PixelClassifier(trainer.model.eval(), MEAN, STD)(images)
        expected = torch.nn.functional.cross_entropy(logits, labels)
    assert trainer.evaluate()["eval_loss"] == pytest.approx(float(expected), rel=1e-4)
    predicted = trainer.predict(Items(dataset.tensors)).predictions
    torch.testing.assert_close(torch.as_tensor(predicted), logits, atol=1e-5, rtol=1e-4)


def test_micro_batches_of_a_batch_move_eps_once(dataset, tmp_path):
    trainer = make(tmp_path, dataset, gradient_accumulation_steps=3, objective=Trades())
    trainer.train()
    strengths = [eps for eps, _ in trainer.seen]
    assert strengths == [eps for eps in strengths[::3] for _ in range(3)]
    assert strengths[-1] == pytest.approx(8 / 255)


class StopAfter(transformers.TrainerCallback):
    def __init__(self, steps):
        self.steps = steps

    def on_step_end(self, args, state, control, **options):
        if state.global_step == self.steps:
            control.should_save = control.should_training_stop = True


def test_resume_continues_exactly(dataset, tmp_path):
    whole = make(tmp_path / "whole", dataset)
    whole.train()
    first = make(tmp_path / "run", dataset, callbacks=[StopAfter(5)])
    first.train()
    second = make(tmp_path / "run", dataset)
    second.train(resume_from_checkpoint=True)
    assert first.seen + second.seen == whole.seen


def test_a_checkpoint_of_another_trainer_is_refused(dataset, tmp_path):
    trainer = make(tmp_path, dataset, callbacks=[StopAfter(5)])
    trainer.train()
    (state,) = tmp_path.glob("checkpoint-*/trainer_state.json")
    state.write_text(state.read_text().replace('"RobustSchedule"', '"Other"'))
    with pytest.raises(RunError, match="holds no schedule"):
        make(tmp_path, dataset).train(resume_from_checkpoint=True)


def test_a_missing_accuracy_is_refused(dataset, tmp_path):
    trainer = make(tmp_path, dataset, schedule=Auto(patience=1), eval_strategy="epoch")
    with pytest.raises(RunError, match="have compute_metrics return 'accuracy'"):
        trainer.train()


# The attack passes normalized pixels to the compiled network; they are not a leaf tensor.
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")
def test_a_compiled_model_is_not_compiled_at_every_step(dataset, tmp_path, monkeypatch):
    # Trainer sets this variable for accelerate.
    for name in ("BACKEND", "MODE"):
        monkeypatch.setenv(f"ACCELERATE_DYNAMO_{name}", "")
        monkeypatch.delenv(f"ACCELERATE_DYNAMO_{name}")
    torch._dynamo.reset()
    compiled = torch._dynamo.utils.counters["stats"]
    compiled.clear()
    counts = Counting(compiled)
    trainer = make(tmp_path, dataset, torch_compile_backend="eager", callbacks=[counts])
    trainer.train()
    whole, eps_at_two = counts.after[-1], counts.after[EPOCHS // 2]
    assert 0 < whole == eps_at_two, "nothing new once an attack has been made"
    assert [loss for _, loss in trainer.seen] == pytest.approx(
        [loss for _, loss in plain_loop(dataset)]
    )


class Counting(transformers.TrainerCallback):
    def __init__(self, compiled):
        self.compiled, self.after = compiled, []

    def on_epoch_end(self, args, state, control, **options):
        self.after.append(self.compiled["unique_graphs"])


def test_bf16(dataset, tmp_path):
    trainer = make(tmp_path, dataset, bf16=True)
    trainer.train()
    exact = plain_loop(dataset)
    assert trainer.seen[0][1] == pytest.approx(exact[0][1], rel=0.05)
    assert trainer.seen[0][1] != pytest.approx(exact[0][1], rel=1e-6), "it was in float32"
    assert [eps for eps, _ in trainer.seen] == [eps for eps, _ in exact]


def test_auto_gets_the_accuracy_of_each_epoch(dataset, tmp_path):
    def accuracy(prediction):
        return {"accuracy": (prediction.predictions.argmax(1) == prediction.label_ids).mean()}

    trainer = make(
        tmp_path,
        dataset,
        schedule=Auto(patience=1, tolerance=1.0),
        eval_strategy="steps",
        eval_steps=1,
        own={"compute_metrics": accuracy},
    )
    trainer.train()
    assert trainer.seen[-1][0] > 0
    # The end of the second epoch is the first that can be compared.
    assert [eps for eps, _ in trainer.seen[:6]] == [0] * 6
    assert "test_accuracy" in trainer.evaluate(metric_key_prefix="test")


def test_images_without_labels_are_normalized_too(dataset, tmp_path):
    trainer = make(tmp_path, dataset)
    labeled = trainer.predict(Items(dataset.tensors)).predictions
    bare = [{"pixel_values": images} for images in dataset.tensors[0]]
    torch.testing.assert_close(
        torch.as_tensor(trainer.predict(bare).predictions), torch.as_tensor(labeled)
    )


def test_micro_batches_add_up_to_the_batch(dataset, tmp_path):
    # Without BatchNorm, whose statistics are those of a micro-batch.
    whole = make(tmp_path, dataset, own={"model": attention()})
    whole.train()
    options = {"per_device_train_batch_size": BATCH // 2, "gradient_accumulation_steps": 2}
    micro_batches = make(tmp_path, dataset, own={"model": attention()}, **options)
    micro_batches.train()
    weights = zip(micro_batches.model.parameters(), whole.model.parameters(), strict=True)
    for ours, theirs in weights:
        torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=0)


def attention():
    sizes = {"image_size": 16, "patch_size": 4, "hidden_size": 16, "intermediate_size": 32}
    with scoped_seed(0):
        return transformers.ViTForImageClassification(
            transformers.ViTConfig(
                **sizes, num_hidden_layers=1, num_attention_heads=2, num_labels=3
            )
        )


def test_eps_is_logged_beside_the_loss(dataset, tmp_path):
    trainer = make(tmp_path, dataset, logging_steps=1)
    trainer.train()
    logged = [row["eps"] for row in trainer.state.log_history if "loss" in row]
    assert len(logged) == 12
    assert logged[0] == 0
    assert logged[-1] == pytest.approx(8 / 255)


@pytest.mark.parametrize(
    "options",
    [
        {"label_smoothing_factor": 0.1},
        {"restore_callback_states_from_checkpoint": True},
        {"own": {"compute_loss_func": len}},
        {"mean": (0.5, 0.4)},
        {"mean": (127.0, 127.0, 127.0)},
    ],
)
def test_options_without_effect_are_refused(dataset, tmp_path, options):
    with pytest.raises(InvalidArgument):
        make(tmp_path, dataset, **options)


@dataclass(frozen=True)
class Mindful(StandardObjective):
    """An own objective that says it remembers."""

    remembers: ClassVar[bool] = True


@dataclass(frozen=True)
class Stateful(StandardObjective):
    """An own objective that does not say it."""

    def state_dict(self):
        return {"seen": torch.zeros(1)}


GUIDANCE = torch.full((24, 3), 1 / 3)


@pytest.mark.parametrize(
    "objective",
    [
        Twins(),
        NoisyLabels().guided(GUIDANCE, torch.arange(24) % 3),
        Mindful(),
        Stateful(),
    ],
    ids=["twins", "noisy-labels", "mindful", "stateful"],
)
def test_an_objective_that_remembers_is_refused_before_any_step(dataset, tmp_path, objective):
    trainer = make(tmp_path, dataset, objective=objective)
    with pytest.raises(InvalidArgument) as caught:
        trainer.train()
    assert caught.value.name == "objective"
    assert not hasattr(trainer, "seen")


def test_normalized_pixels_are_refused_before_any_attack(dataset, tmp_path):
    images, labels, indices = dataset.tensors
    normalized = Items((images - 0.5, labels, indices))
    trainer = make(tmp_path, dataset, own={"train_dataset": normalized})
    with pytest.raises(InvalidArgument, match="leave the normalization to the model"):
        trainer.train()
    with pytest.raises(InvalidArgument, match="leave the normalization to the model"):
        trainer.evaluate(normalized)
