"""The DICOM files of a folder, as they lie there, to its CT in HU and its PET in SUVbw."""
