"""The anatomy of a body: classes, tissue, regions, lesions, and segmentation by TotalSegmentator."""
