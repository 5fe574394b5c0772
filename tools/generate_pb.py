"""Generate the protobuf and gRPC modules, with typed stubs, from protos/csi.proto into a directory."""

import sys
import sysconfig
import tempfile
from pathlib import Path

from grpc_tools import protoc

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = Path("csisim/pb")


def generate(out: Path) -> list[Path]:
    """Write csi_pb2.py, csi_pb2_grpc.py and their .pyi into `out`; returns the paths written.

    Raises:
        SystemExit: protoc refused the file; it has already said why.
    """
    scripts = Path(sysconfig.get_path("scripts"))
    with tempfile.TemporaryDirectory() as work:
        arguments = [
            "protoc",
            f"--plugin=protoc-gen-mypy={scripts / 'protoc-gen-mypy'}",
            f"--plugin=protoc-gen-mypy_grpc={scripts / 'protoc-gen-mypy_grpc'}",
            # The virtual path makes the generated imports read `from csisim.pb import csi_pb2`.
            f"-I{PACKAGE}={ROOT / 'protos'}",
            f"-I{protoc._get_resource_file_name('grpc_tools', '_proto')}",  # noqa: SLF001 - grpc_tools has no public name for it
            f"--python_out={work}",
            f"--grpc_python_out={work}",
            f"--mypy_out={work}",
            f"--mypy_grpc_out={work}",
            str(PACKAGE / "csi.proto"),
        ]
        if protoc.main(arguments) != 0:
            sys.exit("protoc failed on protos/csi.proto")
        out.mkdir(parents=True, exist_ok=True)
        written = []
        for made in sorted((Path(work) / PACKAGE).iterdir()):
            target = out / made.name
            target.write_bytes(made.read_bytes())
            written.append(target)
        return written


if __name__ == "__main__":
    for path in generate(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / PACKAGE):
        print(path)
