"""Tiny datasets, laid out as the classes of torchvision expect their files."""

from pathlib import Path

import numpy as np
from PIL import Image
from scipy.io import savemat


def picture(path: Path, number: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(number).integers(0, 256, (9, 9, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)


def aircraft(root: Path) -> dict[str, int]:
    """Three splits of text files; 2 classes with a space in the name."""
    data = root / "fgvc-aircraft-2013b" / "data"
    names = ["Boeing 707", "DC-10"]
    for split, start in (("train", 0), ("val", 100), ("test", 200)):
        lines = []
        for number in range(start, start + 4):
            picture(data / "images" / f"{number:07d}.jpg", number)
            lines.append(f"{number:07d} {names[number % 2]}\n")
        (data / f"images_variant_{split}.txt").write_text("".join(lines))
    (data / "variants.txt").write_text("\n".join(names) + "\n")
    return {"train": 4, "validation": 4, "test": 4, "classes": 2}


def caltech256(root: Path, sizes: tuple[int, ...] = (70, 80)) -> dict[str, int]:
    """One folder per class; no splits."""
    for label, size in enumerate(sizes, 1):
        for number in range(1, size + 1):
            folder = root / "caltech256" / "256_ObjectCategories" / f"{label:03d}.thing{label}"
            picture(folder / f"{label:03d}_{number:04d}.jpg", 1000 * label + number)
    return {"train": sum(sizes), "classes": len(sizes)}


def cars(root: Path) -> dict[str, int]:
    """Annotations in files of MATLAB."""
    base = root / "stanford_cars"
    (base / "devkit").mkdir(parents=True)
    kind = [("fname", object), ("class", np.uint8)]
    for split, where in (
        ("train", base / "devkit" / "cars_train_annos.mat"),
        ("test", base / "cars_test_annos_withlabels.mat"),
    ):
        rows = [(f"{number:05d}.jpg", number % 2 + 1) for number in range(10)]
        for number, (name, _) in enumerate(rows):
            picture(base / f"cars_{split}" / name, number + 10 * (split == "test"))
        savemat(where, {"annotations": np.array(rows, dtype=kind)})
    names = np.array(["Audi TT", "Fiat 500"], dtype=object)
    savemat(base / "devkit" / "cars_meta.mat", {"class_names": names})
    return {"train": 10, "test": 10, "classes": 2}


def imagenette(root: Path) -> dict[str, int]:
    """Folders `train` and `val`, named by their ids of WordNet."""
    for split, count in (("train", 10), ("val", 3)):
        for label, wnid in enumerate(("n01440764", "n02102040")):
            for number in range(count):
                file = root / "imagenette2" / split / wnid / f"{number}.JPEG"
                file.parent.mkdir(parents=True, exist_ok=True)
                picture(file, number + 100 * label + 1000 * (split == "val"))
    return {"train": 20, "test": 6, "classes": 2}


def pets(root: Path) -> dict[str, int]:
    """Lists of `image class species breed`."""
    base = root / "oxford-iiit-pet"
    (base / "annotations").mkdir(parents=True)
    for split, start in (("trainval", 0), ("test", 10)):
        lines = []
        for number in range(start, start + 10):
            label = number % 2
            name = f"{('Birman', 'beagle')[label]}_{number}"
            picture(base / "images" / f"{name}.jpg", number)
            lines.append(f"{name} {label + 1} {label + 1} 1\n")
        (base / "annotations" / f"{split}.txt").write_text("".join(lines))
    return {"train": 10, "test": 10, "classes": 2}


def flowers102(root: Path) -> dict[str, int]:
    """Labels and splits in files of MATLAB; images are numbered from 1."""
    base = root / "flowers-102"
    numbers = range(1, 13)
    for number in numbers:
        picture(base / "jpg" / f"image_{number:05d}.jpg", number)
    savemat(base / "imagelabels.mat", {"labels": np.array([number % 2 + 1 for number in numbers])})
    splits = {"trnid": [1, 2, 3, 4], "valid": [5, 6, 7, 8], "tstid": [9, 10, 11, 12]}
    savemat(base / "setid.mat", splits)
    return {"train": 4, "validation": 4, "test": 4, "classes": 102}


def caltech101(root: Path) -> dict[str, int]:
    """One folder per class; that of the background is left out."""
    folder = root / "caltech101" / "101_ObjectCategories"
    for label, name in enumerate(("BACKGROUND_Google", "ant", "bass")):
        for number in range(1, 11):
            picture(folder / name / f"image_{number:04d}.jpg", 100 * label + number)
    return {"train": 20, "classes": 2}


def gtsrb(root: Path) -> dict[str, int]:
    """Folders of .ppm files for training, and a table for the test."""
    base = root / "gtsrb"
    for label in range(2):
        for number in range(10):
            where = base / "GTSRB" / "Training" / f"{label:05d}" / f"{number:05d}.ppm"
            picture(where, number + 100 * label)
    rows = ["Filename;ClassId"]
    for number in range(4):
        picture(base / "GTSRB" / "Final_Test" / "Images" / f"{number:05d}.ppm", 1000 + number)
        rows.append(f"{number:05d}.ppm;{number % 2}")
    (base / "GT-final_test.csv").write_text("\n".join(rows) + "\n")
    return {"train": 20, "test": 4, "classes": 2}


#: A function of a root for each short name; it returns the numbers of images and classes.
MAKERS = {
    "aircraft": aircraft,
    "caltech256": caltech256,
    "cars": cars,
    "imagenette": imagenette,
    "pets": pets,
    "flowers102": flowers102,
    "caltech101": caltech101,
    "gtsrb": gtsrb,
}
