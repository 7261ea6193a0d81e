"""The paper's result tables, to print beside our own: the measurements of its authors, on other data than ours.

Keys are (group, method); values follow `METRICS` of the table.
"""

from __future__ import annotations

from .report import Metric

PSNR_GAIN, SSIM_GAIN = Metric("PSNR gain (dB)", "up", 2, signed=True), Metric("SSIM gain", "up", 3, signed=True)
PSNR, SSIM = Metric("PSNR (dB)", "up", 2), Metric("SSIM", "up", 3)
MS_SSIM, DICE = Metric("MS-SSIM", "up", 4), Metric("Dice", "up", 4)
LPIPS, FID, MMD = (Metric(name, "down", 4) for name in ("LPIPS", "FID", "MMD"))
IMAGE_AUROC, PIXEL_AUROC, PRO = (Metric(name, "up", 4) for name in ("image AUROC", "pixel AUROC", "PRO"))

SYNTHESIS = (MS_SSIM, LPIPS, FID, MMD, DICE)
DENOISING = (PSNR_GAIN, SSIM_GAIN)
DETECTION = (IMAGE_AUROC, PIXEL_AUROC, PRO, DICE)
SUPER_RESOLUTION = (PSNR, SSIM)

# Ablation of conditional synthesis: each component is added to those above it
BASELINE, MULTI_LEVEL = "patch-level baseline", "+ multi-level integration"
POSITION, POSITION_EMBEDDING = "+ position", "+ position embedding"
TABLE_III = {
    ("head-neck", BASELINE): (0.7227, 0.0185, 0.1973, 0.0513, 0.7491),
    ("head-neck", MULTI_LEVEL): (0.7867, 0.0125, 0.1564, 0.0301, 0.8843),
    ("head-neck", POSITION): (0.8049, 0.0132, 0.1101, 0.0293, 0.8923),
    ("head-neck", POSITION_EMBEDDING): (0.8034, 0.0110, 0.1074, 0.0275, 0.8949),
    ("chest", BASELINE): (0.7799, 0.0175, 0.3121, 0.1219, 0.4909),
    ("chest", MULTI_LEVEL): (0.8344, 0.0116, 0.1961, 0.0753, 0.6372),
    ("chest", POSITION): (0.8443, 0.0121, 0.1069, 0.0652, 0.6997),
    ("chest", POSITION_EMBEDDING): (0.8480, 0.0130, 0.0749, 0.0648, 0.7076),
    ("abdomen", BASELINE): (0.6009, 0.0242, 0.2792, 0.0489, 0.6998),
    ("abdomen", MULTI_LEVEL): (0.7256, 0.0148, 0.2130, 0.0325, 0.8318),
    ("abdomen", POSITION): (0.7255, 0.0157, 0.2402, 0.0390, 0.8503),
    ("abdomen", POSITION_EMBEDDING): (0.7439, 0.0136, 0.2595, 0.0303, 0.8524),
    ("overall", BASELINE): (0.7011, 0.0201, 0.1096, 0.0740, 0.6466),
    ("overall", MULTI_LEVEL): (0.7823, 0.0130, 0.0819, 0.0460, 0.7844),
    ("overall", POSITION): (0.7916, 0.0137, 0.0667, 0.0445, 0.8141),
    ("overall", POSITION_EMBEDDING): (0.7984, 0.0125, 0.0655, 0.0409, 0.8183),
}
# Conditional synthesis, 5 % of the volumes of the thirteen data sets; MedicalNet's ResNet as the feature extractor
TABLE_IV = {
    ("head-neck", "DDPM"): (0.7227, 0.0185, 0.1973, 0.0513, 0.7491),
    ("head-neck", "MAISI"): (0.6963, 0.0150, 0.1572, 0.0414, 0.8164),
    ("head-neck", "MedDiff-FM"): (0.8034, 0.0110, 0.1074, 0.0275, 0.8949),
    ("chest", "DDPM"): (0.7799, 0.0175, 0.3121, 0.1219, 0.4909),
    ("chest", "MAISI"): (0.7063, 0.0240, 0.1731, 0.0326, 0.6490),
    ("chest", "MedDiff-FM"): (0.8480, 0.0130, 0.0749, 0.0648, 0.7076),
    ("abdomen", "DDPM"): (0.6009, 0.0242, 0.2792, 0.0489, 0.6998),
    ("abdomen", "MAISI"): (0.6905, 0.0134, 0.1373, 0.0304, 0.8169),
    ("abdomen", "MedDiff-FM"): (0.7439, 0.0136, 0.2595, 0.0303, 0.8524),
    ("overall", "DDPM"): (0.7011, 0.0201, 0.1096, 0.0740, 0.6466),
    ("overall", "MAISI"): (0.6977, 0.0175, 0.0764, 0.0348, 0.7608),
    ("overall", "MedDiff-FM"): (0.7984, 0.0125, 0.0655, 0.0409, 0.8183),
}
# Mayo 2016, a quarter of the dose, gain over the input in each method's own HU window
TABLE_V = {
    ("", "RED-CNN"): (4.55, 0.051),
    ("", "CTformer"): (4.66, 0.052),
    ("", "NLM"): (2.44, 0.032),
    ("", "BM3D"): (2.73, 0.033),
    ("", "Noise2Sim"): (4.22, 0.050),
    ("", "Dn-Dp"): (4.40, 0.049),
    ("", "MedDiff-FM"): (4.19, 0.059),
}
# BMAD liver, 1,493 slices
TABLE_VI = {
    ("", "DRAEM"): (0.6995, 0.8745, 0.7929, 0.0938),
    ("", "MKD"): (0.6072, 0.9606, 0.9108, 0.1492),
    ("", "RD4AD"): (0.6038, 0.9601, 0.9029, 0.1072),
    ("", "STFPM"): (0.6175, 0.9118, 0.9062, 0.0887),
    ("", "PaDiM"): (0.5078, 0.9094, 0.7679, 0.0450),
    ("", "PatchCore"): (0.6028, 0.9643, 0.8775, 0.1049),
    ("", "CFA"): (0.6200, 0.9724, 0.9275, 0.1493),
    ("", "CFLOW"): (0.5080, 0.9241, 0.8311, 0.0758),
    ("", "SimpleNet"): (0.7228, 0.9751, 0.9107, 0.1226),
    ("", "MedDiff-FM"): (0.8525, 0.9760, 0.9663, 0.2744),
}
# RPLHR-CT, 5 mm to 1 mm, 100 test cases
TABLE_VII = {
    ("", "bicubic"): (33.508, 0.902),
    ("", "ResVox"): (37.946, 0.932),
    ("", "MPU-Net"): (37.140, 0.924),
    ("", "SAINT"): (38.019, 0.933),
    ("", "DA-VSR"): (36.672, 0.924),
    ("", "TVSRN"): (38.609, 0.936),
    ("", "MedDiff-FM"): (37.654, 0.929),
}
# Lesion generation; Dice of an nnU-Net trained on real lesions
TABLE_VIII = {
    ("MSD-Lung", "real"): (None, None, None, None, 0.74),
    ("MSD-Lung", "Med-DDPM"): (0.4932, 0.0473, 0.2808, 0.0592, 0.24),
    ("MSD-Lung", "MedDiff-FM, from scratch"): (0.6606, 0.0135, 0.2059, 0.1018, 0.16),
    ("MSD-Lung", "MedDiff-FM"): (0.6731, 0.0136, 0.2332, 0.0998, 0.28),
    ("MSD-Liver", "real"): (None, None, None, None, 0.71),
    ("MSD-Liver", "Med-DDPM"): (0.3030, 0.0540, 0.4795, 0.1202, 0.25),
    ("MSD-Liver", "MedDiff-FM, from scratch"): (0.5991, 0.0151, 0.1304, 0.0679, 0.40),
    ("MSD-Liver", "MedDiff-FM"): (0.6121, 0.0138, 0.1690, 0.0727, 0.48),
    ("MED-LN", "real"): (None, None, None, None, 0.28),
    ("MED-LN", "Med-DDPM"): (0.7002, 0.0170, 0.1023, 0.0508, 0.01),
    ("MED-LN", "MedDiff-FM, from scratch"): (0.7946, 0.0059, 0.3057, 0.0538, 0.01),
    ("MED-LN", "MedDiff-FM"): (0.7982, 0.0074, 0.1195, 0.0183, 0.22),
    ("ABD-LN", "real"): (None, None, None, None, 0.51),
    ("ABD-LN", "Med-DDPM"): (0.4430, 0.0336, 0.2574, 0.0708, 0.39),
    ("ABD-LN", "MedDiff-FM, from scratch"): (0.5267, 0.0304, 0.1765, 0.0570, 0.32),
    ("ABD-LN", "MedDiff-FM"): (0.5802, 0.0211, 0.2425, 0.0594, 0.50),
}
# Lesion inpainting; Dice of the same nnU-Net
TABLE_IX = {
    ("MSD-Lung", "real"): (0.74,),
    ("MSD-Lung", "DiffTumor"): (0.44,),
    ("MSD-Lung", "MedDiff-FM, from scratch"): (0.42,),
    ("MSD-Lung", "MedDiff-FM"): (0.77,),
    ("MSD-Liver", "real"): (0.71,),
    ("MSD-Liver", "DiffTumor"): (0.67,),
    ("MSD-Liver", "MedDiff-FM, from scratch"): (0.71,),
    ("MSD-Liver", "MedDiff-FM"): (0.71,),
    ("MED-LN", "real"): (0.28,),
    ("MED-LN", "DiffTumor"): (0.01,),
    ("MED-LN", "MedDiff-FM, from scratch"): (0.30,),
    ("MED-LN", "MedDiff-FM"): (0.34,),
    ("ABD-LN", "real"): (0.51,),
    ("ABD-LN", "DiffTumor"): (0.45,),
    ("ABD-LN", "MedDiff-FM, from scratch"): (0.51,),
    ("ABD-LN", "MedDiff-FM"): (0.53,),
}
