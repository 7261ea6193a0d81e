"""What is where in a body: classes, tissue, regions, lesions, and segmentation by TotalSegmentator."""
