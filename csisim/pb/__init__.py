"""Generated from protos/csi.proto by `make protos`; do not edit the other files here."""
