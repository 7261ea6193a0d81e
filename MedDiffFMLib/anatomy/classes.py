"""The classes of the anatomy condition by name, and how people write these names. Standard library only.

1–117 are TotalSegmentator's, in the order of its own class map ("total", version 2); 118 is any other part of the body;
119–121 are what thresholds find without a segmentation model (see `anatomy.tissue.find_tissue`).
"""

from __future__ import annotations

import difflib
import re

from ..errors import InputError

_TOTALSEGMENTATOR = """
spleen kidney_right kidney_left gallbladder liver stomach pancreas adrenal_gland_right adrenal_gland_left
lung_upper_lobe_left lung_lower_lobe_left lung_upper_lobe_right lung_middle_lobe_right lung_lower_lobe_right esophagus
trachea thyroid_gland small_bowel duodenum colon urinary_bladder prostate kidney_cyst_left kidney_cyst_right sacrum
vertebrae_S1 vertebrae_L5 vertebrae_L4 vertebrae_L3 vertebrae_L2 vertebrae_L1 vertebrae_T12 vertebrae_T11
vertebrae_T10 vertebrae_T9 vertebrae_T8 vertebrae_T7 vertebrae_T6 vertebrae_T5 vertebrae_T4 vertebrae_T3 vertebrae_T2
vertebrae_T1 vertebrae_C7 vertebrae_C6 vertebrae_C5 vertebrae_C4 vertebrae_C3 vertebrae_C2 vertebrae_C1 heart aorta
pulmonary_vein brachiocephalic_trunk subclavian_artery_right subclavian_artery_left common_carotid_artery_right
common_carotid_artery_left brachiocephalic_vein_left brachiocephalic_vein_right atrial_appendage_left
superior_vena_cava inferior_vena_cava portal_vein_and_splenic_vein iliac_artery_left iliac_artery_right
iliac_vena_left iliac_vena_right humerus_left humerus_right scapula_left scapula_right clavicula_left clavicula_right
femur_left femur_right hip_left hip_right spinal_cord gluteus_maximus_left gluteus_maximus_right gluteus_medius_left
gluteus_medius_right gluteus_minimus_left gluteus_minimus_right autochthon_left autochthon_right iliopsoas_left
iliopsoas_right brain skull rib_left_1 rib_left_2 rib_left_3 rib_left_4 rib_left_5 rib_left_6 rib_left_7 rib_left_8
rib_left_9 rib_left_10 rib_left_11 rib_left_12 rib_right_1 rib_right_2 rib_right_3 rib_right_4 rib_right_5 rib_right_6
rib_right_7 rib_right_8 rib_right_9 rib_right_10 rib_right_11 rib_right_12 sternum costal_cartilages
""".split()

_SURELY = 0.88  # likeness (difflib) from which a name is a misspelled one
BODY, LUNG, BONE, GAS = 118, 119, 120, 121
CODE_PLANES = GAS.bit_length()  # binary planes that code a label, see `anatomy.encode_labels`
ORGANS: dict[int, str] = dict(enumerate([*_TOTALSEGMENTATOR, "body", "lung", "bone", "gas"], 1))
_NUMBERS = {name: number for number, name in ORGANS.items()}


def _span(first: str, last: str) -> tuple[int, ...]:
    return tuple(range(_NUMBERS[first], _NUMBERS[last] + 1))


def _pairs() -> dict[str, tuple[int, ...]]:
    """kidney → both kidneys, and so for everything that has a left and a right."""
    pairs = {}
    for name, number in _NUMBERS.items():
        other = name.replace("_left", "_right")
        if other != name and other in _NUMBERS:
            pairs[name.replace("_left", "")] = (number, _NUMBERS[other])
    return pairs


_VERTEBRAE, _RIBS = _span("vertebrae_S1", "vertebrae_C1"), _span("rib_left_1", "rib_right_12")
_LIMBS = (*_span("humerus_left", "clavicula_right"), *_span("femur_left", "hip_right"))

# What a radiologist may say for several classes at once. Those of the thresholds belong to it, so that it works without
# organs too.
GROUPS: dict[str, tuple[int, ...]] = {
    **_pairs(),
    "lungs": (*_span("lung_upper_lobe_left", "lung_lower_lobe_right"), LUNG),
    "lung_left": _span("lung_upper_lobe_left", "lung_lower_lobe_left"),
    "lung_right": _span("lung_upper_lobe_right", "lung_lower_lobe_right"),
    "vertebrae": _VERTEBRAE,
    "spine": (_NUMBERS["sacrum"], *_VERTEBRAE),
    "ribs": _RIBS,
    "ribs_left": _span("rib_left_1", "rib_left_12"),
    "ribs_right": _span("rib_right_1", "rib_right_12"),
    "bones": (_NUMBERS["sacrum"], *_VERTEBRAE, *_LIMBS, _NUMBERS["skull"], *_RIBS, _NUMBERS["sternum"], BONE),
    "bowel": _span("small_bowel", "colon"),
    "muscles": _span("gluteus_maximus_left", "iliopsoas_right"),
    "vessels": (*_span("aorta", "brachiocephalic_vein_right"), *_span("superior_vena_cava", "iliac_vena_right")),
    "body": tuple(ORGANS),
}

# Other words for a class: other spellings, short forms, SNOMED's names, and parts that version 1 of TotalSegmentator or
# another of its tasks distinguishes.
_ALIASES = {
    "oesophagus": "esophagus",
    "bladder": "urinary_bladder",
    "thyroid": "thyroid_gland",
    "gall_bladder": "gallbladder",
    "heart_myocardium": "heart",
    "heart_atrium_left": "heart",
    "heart_atrium_right": "heart",
    "heart_ventricle_left": "heart",
    "heart_ventricle_right": "heart",
    "large_intestine": "colon",
    "large_bowel": "colon",
    "small_intestine": "small_bowel",
    "abdominal_aorta": "aorta",
    "thoracic_aorta": "aorta",
    "ivc": "inferior_vena_cava",
    "postcava": "inferior_vena_cava",
    "svc": "superior_vena_cava",
    "brachiocephalic_artery": "brachiocephalic_trunk",
    "prostate_gland": "prostate",
    "body_trunc": "body",
    "body_extremities": "body",
    **{
        name.replace(word, other): name
        for word, other in (
            ("adrenal_gland", "adrenal"),
            ("iliac_vena", "iliac_vein"),
            ("iliac_vena", "common_iliac_vein"),
            ("iliac_artery", "common_iliac_artery"),
            ("clavicula", "clavicle"),
            ("hip", "hip_bone"),
            ("autochthon", "autochthonous"),
        )
        for name in _NUMBERS
        if word in name
    },
}
_BONES = """bone patella tibia fibula tarsal metatarsal phalanges_feet ulna radius carpal metacarpal phalanges_hand
vertebrae_body coccyx mandible""".split()  # that are no class of their own
_WORDS = {"vertebrae": "vertebra", "l": "left", "lt": "left", "r": "right", "rt": "right"}
_WORDS |= {word: str(n) for n, word in enumerate("first second third fourth fifth sixth seventh eighth".split(), 1)}
_WORDS |= {word: str(n) for n, word in enumerate("ninth tenth eleventh twelfth".split(), 9)}
_NO_WORDS = ("of", "the", "structure", "entire")


def _key(name: str) -> tuple[str, ...]:
    """The common key of "Right kidney", "kidney-right", "kidney (R)" and "kidney of the right", vertebra and vertebrae,
    "first rib" and "rib 1".
    """
    words = [word for word in re.findall(r"[a-z0-9]+", name.lower()) if word not in _NO_WORDS]
    return tuple(sorted(_WORDS.get(word) or word.rstrip("s") or word for word in words))


_CLASS_KEYS = {_key(name): number for name, number in _NUMBERS.items()}
_CLASS_KEYS |= {_key(alias): _NUMBERS[name] for alias, name in _ALIASES.items()}
_BONE_KEYS = {_key(name) for name in _BONES}
_GROUP_KEYS = {_key(name): numbers for name, numbers in GROUPS.items()}


def label_number(name: str) -> int:
    """The number (1–121) of the one class of this name; case, the order of words and plurals do not matter.

    InputError, with the names that come closest, if there is none.
    """
    number = _CLASS_KEYS.get(_key(name))
    if number is None:
        raise InputError(unknown(name))
    return number


def label_numbers(name: str) -> tuple[int, ...]:
    """The numbers of an organ or of a group (`GROUPS`): "liver" → (5,), "kidneys" → (3, 2).

    "body" is everything but the background. InputError as `label_number`.
    """
    numbers = _GROUP_KEYS.get(_key(name))
    return (label_number(name),) if numbers is None else numbers


def label_for_foreign_name(name: str) -> int | None:
    """The number of the class for a name in a foreign label map, None if there is no such class.

    Besides the classes: any part of the lungs is 119, any part of the bones 120, as thresholds would find them.
    """
    number = _CLASS_KEYS.get(_key(name))
    if number is not None:
        return number
    if _key(name) in _BONE_KEYS:
        return BONE
    part = set(_GROUP_KEYS.get(_key(name), ()))
    tissues = ((LUNG, "lungs"), (BONE, "bones"))
    return next((tissue for tissue, whole in tissues if part and part <= set(GROUPS[whole])), None)


def close_names(name: str, likeness: float = 0.6) -> list[str]:
    """Up to three names of classes or groups that come closest to what was written; none if nothing is near."""
    plain = "_".join(re.findall(r"[a-z0-9]+", name.lower()))
    return difflib.get_close_matches(plain, [*_NUMBERS, *GROUPS, *_ALIASES], n=3, cutoff=likeness)


def misspelled(name: str) -> list[str]:
    """The classes of which a name is surely a misspelling: a letter or two differ, and no number or side does."""
    plain = "_".join(re.findall(r"[a-z0-9]+", name.lower()))
    same = [name for name in (*_NUMBERS, *_ALIASES) if _exact_words(name) == _exact_words(plain)]
    if label_for_foreign_name(name) is not None or _key(name) in _GROUP_KEYS:
        return []
    swapped = [name for name in same if name[:1] == plain[:1] and sorted(name) == sorted(plain)]
    near = difflib.get_close_matches(plain, same, n=3, cutoff=_SURELY)
    return swapped or [name for name in near if abs(len(name) - len(plain)) < 2]


def _exact_words(name: str) -> set[str]:
    """The words of a name that must match exactly, since one letter would make another organ."""
    return {word for word in name.split("_") if word in ("left", "right", "upper", "lower") or re.search(r"\d", word)}


def unknown(name: str) -> str:
    """The message about a name that no class or group has, in one sentence."""
    near = close_names(name)
    instead = f"did you mean {' or '.join(near)}?" if near else "use a name of TotalSegmentator's classes, as liver."
    return f"There is no organ {name!r}: {instead}"
