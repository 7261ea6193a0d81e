"""Metrics: PSNR and SSIM, anomaly scores, anatomy, lesions, similarity of image sets."""
