"""The small real CT that comes with the modules, in Slicer's Sample Data: works without a network."""

from slicer.i18n import tr as _

from ..toolkit.resources import RESOURCES

SAMPLES = {  # file: its name in Slicer, and its SHA-256
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
    """Where a sample lies: in the package, or in the source tree."""
    packaged = RESOURCES / "Data" / name
    return packaged if packaged.is_file() else RESOURCES.parents[2] / "Testing" / "Data" / name


def registerSampleData():
    """Called by each module once Slicer has started; the first one does it."""
    import SampleData

    category = _("MedDiff-FM")
    known = SampleData.SampleDataLogic()
    for fileName, (name, checksum) in SAMPLES.items():
        path = sampleFile(fileName)
        if known.sourceForSampleName(name) is None and path.is_file():
            SampleData.SampleDataLogic.registerCustomSampleDataSource(
                category=category,
                sampleName=name,
                uris=path.as_uri(),
                fileNames=fileName,
                nodeNames=name,
                checksums=f"SHA256:{checksum}",
                thumbnailFileName=str(THUMBNAILS / f"{fileName.split('.')[0]}.png"),
            )
