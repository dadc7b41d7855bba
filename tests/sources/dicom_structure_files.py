"""Small DICOM series with structure sets and segmentations, made with pydicom."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.pixels import pack_bits
from pydicom.sequence import Sequence as Items
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

CT = "1.2.840.10008.5.1.4.1.1.2"
RTSTRUCT = "1.2.840.10008.5.1.4.1.1.481.3"
SEG = "1.2.840.10008.5.1.4.1.1.66.4"
ROWS, COLUMNS = 48, 64
SPACING = (0.8, 0.5)  # between rows, between columns
UPRIGHT = ([1.0, 0.0, 0.0], [0.0, 1.0, 0.0])
OBLIQUE = ([0.8, 0.6, 0.0], [0.0, 0.0, -1.0])


class Series:
    """Slices on disk: `uids[k]` is the k-th slice, `point(k, x, y)` the place of its pixel in mm."""

    def __init__(self, folder: Path, count: int = 3, axes=UPRIGHT, patient=("MRN-4711", "Doe^Janet"), gap=2.5) -> None:
        self.folder, self.axes, self.patient, self.gap = folder, [np.array(a) for a in axes], patient, gap
        self.study, self.frame = generate_uid(), generate_uid()
        self.uids = [generate_uid() for _ in range(count)]
        folder.mkdir(parents=True, exist_ok=True)
        for k, uid in enumerate(self.uids):
            ds = self.common(CT, uid, "CT")
            ds.Rows, ds.Columns, ds.SamplesPerPixel = ROWS, COLUMNS, 1
            ds.BitsAllocated = ds.BitsStored = 16
            ds.HighBit, ds.PixelRepresentation, ds.PhotometricInterpretation = 15, 1, "MONOCHROME2"
            ds.RescaleSlope, ds.RescaleIntercept = 1, -1024
            ds.ImagePositionPatient = [float(v) for v in self.point(k, 0, 0)]
            ds.ImageOrientationPatient = [float(v) for axis in self.axes for v in axis]
            ds.PixelSpacing = list(SPACING)
            ds.PixelData = np.full((ROWS, COLUMNS), 1000, dtype=np.int16).tobytes()
            save(ds, folder / f"slice{k}.dcm")

    def point(self, k: int, x: float, y: float) -> np.ndarray:
        origin = np.array([-11.0, 7.0, 30.0]) + k * self.gap * np.cross(*self.axes)
        return origin + x * SPACING[1] * self.axes[0] + y * SPACING[0] * self.axes[1]

    def common(self, sop_class: str, uid: str, modality: str) -> Dataset:
        ds = Dataset()
        ds.file_meta = FileMetaDataset()
        ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        ds.file_meta.MediaStorageSOPClassUID, ds.file_meta.MediaStorageSOPInstanceUID = sop_class, uid
        ds.SOPClassUID, ds.SOPInstanceUID, ds.Modality = sop_class, uid, modality
        ds.PatientID, ds.PatientName = self.patient
        ds.StudyInstanceUID, ds.SeriesInstanceUID = self.study, generate_uid()
        ds.FrameOfReferenceUID = self.frame
        return ds

    def contour(self, k: int, pixels: Sequence[tuple[float, float]], *, named=True, kind="CLOSED_PLANAR", off=0.0):
        item = Dataset()
        item.ContourGeometricType, item.NumberOfContourPoints = kind, len(pixels)
        shift = off * np.cross(*self.axes)
        item.ContourData = [round(float(v), 4) for x, y in pixels for v in self.point(k, x, y) + shift]
        if named:
            reference = Dataset()
            reference.ReferencedSOPClassUID = CT
            reference.ReferencedSOPInstanceUID = named if isinstance(named, str) else self.uids[k]
            item.ContourImageSequence = Items([reference])
        return item

    def rtstruct(self, name: str, structures: dict[str, list[Dataset]]) -> Path:
        ds = self.common(RTSTRUCT, generate_uid(), "RTSTRUCT")
        rois, contours = [], []
        for number, (label, items) in enumerate(structures.items(), start=11):
            roi, contour = Dataset(), Dataset()
            roi.ROINumber, roi.ROIName, roi.ReferencedFrameOfReferenceUID = number, label, self.frame
            contour.ReferencedROINumber, contour.ContourSequence = number, Items(items)
            rois.append(roi)
            contours.append(contour)
        ds.StructureSetROISequence, ds.ROIContourSequence = Items(rois), Items(contours)
        return save(ds, self.folder / name)

    def seg(self, name: str, frames, *, fractional=False, named=True, labels=("lesion",), shift=0.0, kind=None) -> Path:
        """`frames`: (slice, segment number, mask of shape (rows, columns))."""
        ds = self.common(SEG, generate_uid(), "SEG")
        ds.SegmentationType = kind or ("FRACTIONAL" if fractional else "BINARY")
        ds.NumberOfFrames, ds.Rows, ds.Columns = len(frames), *frames[0][2].shape
        ds.SamplesPerPixel, ds.PhotometricInterpretation, ds.PixelRepresentation = 1, "MONOCHROME2", 0
        pixels = np.stack([mask for *_, mask in frames])
        if fractional:
            ds.BitsAllocated = ds.BitsStored = 8
            ds.HighBit, ds.MaximumFractionalValue, ds.SegmentationFractionalType = 7, 200, "PROBABILITY"
            ds.PixelData = pixels.astype(np.uint8).tobytes()
        else:
            ds.BitsAllocated = ds.BitsStored = 1
            ds.HighBit = 0
            ds.PixelData = pack_bits(pixels.astype(np.uint8).ravel())
        segments = []
        for number, label in enumerate(labels, start=1):
            segment = Dataset()
            segment.SegmentNumber, segment.SegmentLabel = number, label
            segments.append(segment)
        ds.SegmentSequence = Items(segments)
        orientation, measures, shared = Dataset(), Dataset(), Dataset()
        orientation.ImageOrientationPatient = [float(v) for axis in self.axes for v in axis]
        measures.PixelSpacing = list(SPACING)
        shared.PlaneOrientationSequence, shared.PixelMeasuresSequence = Items([orientation]), Items([measures])
        ds.SharedFunctionalGroupsSequence = Items([shared])
        groups = []
        for k, number, _ in frames:
            group, identity, position = Dataset(), Dataset(), Dataset()
            identity.ReferencedSegmentNumber = number
            position.ImagePositionPatient = [round(float(v), 4) for v in self.point(k, shift, 0)]
            group.SegmentIdentificationSequence = Items([identity])
            group.PlanePositionSequence = Items([position])
            if named:
                derivation, source = Dataset(), Dataset()
                source.ReferencedSOPClassUID, source.ReferencedSOPInstanceUID = CT, self.uids[k]
                derivation.SourceImageSequence = Items([source])
                group.DerivationImageSequence = Items([derivation])
            groups.append(group)
        ds.PerFrameFunctionalGroupsSequence = Items(groups)
        return save(ds, self.folder / name)


def save(ds: Dataset, path: Path) -> Path:
    ds.save_as(path, enforce_file_format=True)
    return path


def square(x1: float, y1: float, x2: float, y2: float) -> list[tuple[float, float]]:
    return [(x1, y1), (x2, y1), (x2, y2), (x1, y2)]


def filled(*boxes: tuple[int, int, int, int], value: int = 1) -> np.ndarray:
    mask = np.zeros((ROWS, COLUMNS), dtype=np.uint8)
    for x1, y1, x2, y2 in boxes:
        mask[y1:y2, x1:x2] = value
    return mask
