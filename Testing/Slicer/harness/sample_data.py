"""Stand-in for Slicer's SampleData module (Modules/Scripted/SampleData/SampleData.py), without a network: what a module
registers must lie in a local file (file:// or an absolute path)."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

import slicer

from .errors import NotInSlicer


@dataclass
class SampleDataSource:
    sampleName: str = ""
    uris: list = field(default_factory=list)
    fileNames: list = field(default_factory=list)
    nodeNames: list = field(default_factory=list)
    checksums: list = field(default_factory=list)
    loadFileTypes: list = field(default_factory=list)
    loadFiles: list = field(default_factory=list)
    thumbnailFileName: str = ""
    loadFileProperties: dict = field(default_factory=dict)
    customDownloader: object = None


def _several(value) -> list:
    return value if isinstance(value, list) else [value]


class SampleDataLogic:
    @staticmethod
    def registerCustomSampleDataCategory(category, title):
        _registered("sampleDataSourceCategories")[category] = {"title": title}

    @staticmethod
    def registerCustomSampleDataSource(
        category="Custom",
        sampleName=None,
        uris=None,
        fileNames=None,
        nodeNames=None,
        customDownloader=None,
        thumbnailFileName=None,
        loadFileTypes=None,
        loadFiles=None,
        loadFileProperties={},  # noqa: B006 - as in Slicer
        checksums=None,
        loadFileType=None,
    ):
        source = SampleDataSource(
            sampleName=sampleName,
            uris=_several(uris),
            fileNames=_several(fileNames),
            nodeNames=_several(nodeNames),
            checksums=_several(checksums),
            loadFileTypes=_several(loadFileTypes or loadFileType),
            loadFiles=_several(loadFiles),
            thumbnailFileName=thumbnailFileName,
            loadFileProperties=dict(loadFileProperties),
            customDownloader=customDownloader,
        )
        sources = _registered("sampleDataSources").setdefault(category, [])
        if source not in sources:
            sources.append(source)

    @staticmethod
    def sampleDataSourcesByCategory(category=None):
        sources = _registered("sampleDataSources")
        return sources if category is None else sources.get(category, [])

    def sourceForSampleName(self, sampleName):
        everything = [source for sources in self.sampleDataSourcesByCategory().values() for source in sources]
        return next((source for source in everything if source.sampleName == sampleName), None)

    def downloadSamples(self, sampleName):
        source = self.sourceForSampleName(sampleName)
        if source is None:
            raise ValueError(f"no sample data named {sampleName}")
        if source.customDownloader:
            return [source.customDownloader(source)]
        return [_load(source, index) for index in range(len(source.uris))]

    def downloadSample(self, sampleName):
        return self.downloadSamples(sampleName)[0]


def downloadSample(sampleName):
    return SampleDataLogic().downloadSample(sampleName)


def downloadSamples(sampleName):
    return SampleDataLogic().downloadSamples(sampleName)


def _registered(name: str) -> dict:
    return vars(slicer.modules).setdefault(name, {})


def _load(source: SampleDataSource, index: int):
    uri = str(source.uris[index])
    if not uri.startswith("file:") and not os.path.isabs(uri):
        raise NotInSlicer(f"sample data from the network: {uri}")
    folder = Path(slicer.app.cachePath)
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / source.fileNames[index]
    uri = uri if uri.startswith("file:") else Path(uri).as_uri()
    if not slicer.util.downloadFile(uri, str(target), checksum=source.checksums[index]):
        raise ValueError(f"Checksum verification failed: {uri}")
    load, kind = source.loadFiles[min(index, len(source.loadFiles) - 1)], source.loadFileTypes[0]
    if load is False:
        return str(target)
    properties = dict(source.loadFileProperties) | {"name": source.nodeNames[index]}
    return slicer.util.loadNodeFromFile(str(target), kind, properties)
