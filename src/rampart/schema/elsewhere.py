"""Words of other libraries for our keys, to answer those who write them."""

#: By word: the last words of the keys.
ELSEWHERE = {
    "lr": ("backbone_lr", "head_lr"),
    "learning_rate": ("backbone_lr", "head_lr"),
    "weight_decay": ("backbone_weight_decay", "head_weight_decay"),
    "epsilon": ("eps",),
    "eps_g": ("eps",),
    "strength": ("eps",),
    "num_epochs": ("epochs",),
    "n_epochs": ("epochs",),
    "max_epochs": ("epochs",),
    "num_workers": ("workers",),
    "n_examples": ("limit",),
    "num_images": ("limit",),
    "max_samples": ("limit",),
    "img_size": ("image_size",),
    "input_size": ("image_size",),
    "amp": ("precision",),
    "grad_clip": ("clip_norm",),
    "clip_grad": ("clip_norm",),
    "warmup_epochs": ("warmup",),
    "logger": ("trackers",),
    "dataset": ("data",),
    "arch": ("model",),
    "backbone": ("model",),
    "loss": ("objective",),
}
