"""The large vocabulary: the corpora `signs` and `wlasl` as one source of clips, composed into phrases on the device."""
