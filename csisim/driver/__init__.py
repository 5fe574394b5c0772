"""The CSI plugin: five services over the NAS client and a Mounter. No fault, no simulation in here."""
