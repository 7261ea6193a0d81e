"""The small real CTs that come with the modules, offered in Slicer's Sample Data; no network is needed."""

from slicer.i18n import tr as _

from ..toolkit.resources import RESOURCES

SAMPLES = {  # file: (name in Slicer, SHA-256)
    "chest_ts_aorta.nii.gz": (
        "MedDiff-FM chest CT",
        "611b8a2daf7c3efc11075a93ee1599f3fc31ef741c0a56f6b1718a940db0af6e",
    ),
    "abd_ts_example.nii.gz": (
        "MedDiff-FM abdomen CT",
        "15bc9b4e172bbbe494bd7091d78729b2cdec4f6347f46536ab6ed5c979884b57",
    ),
}

THUMBNAILS = RESOURCES / "Icons"


def sampleFile(name):
    """The path of a sample, in the package or in the source tree."""
    packaged = RESOURCES / "Data" / name
    return packaged if packaged.is_file() else RESOURCES.parents[2] / "Testing" / "Data" / name


def registerSampleData():
    """Register the samples, unless another module has done it. Each module calls this once Slicer has started."""
    import SampleData

    category = _("MedDiff-FM")
    sampleData = SampleData.SampleDataLogic()
    for fileName, (name, checksum) in SAMPLES.items():
        path = sampleFile(fileName)
        if sampleData.sourceForSampleName(name) is None and path.is_file():
            SampleData.SampleDataLogic.registerCustomSampleDataSource(
                category=category,
                sampleName=name,
                uris=path.as_uri(),
                fileNames=fileName,
                nodeNames=name,
                checksums=f"SHA256:{checksum}",
                thumbnailFileName=str(THUMBNAILS / f"{fileName.split('.')[0]}.png"),
            )
