"""Quality measures (PSNR, SSIM, LPIPS, VMAF, temporal) and the comparison of two videos."""
