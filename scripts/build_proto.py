"""Make the Python code of the gRPC contract from its .proto; run it after every change there (needs grpcio-tools).

The code is checked in, made with grpcio-tools 1.62.3: what that writes works with protobuf 4, which MediaPipe needs.
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PROTO = "app/rpc/glossline/v1/captioner.proto"


def compile_proto(*outputs: str) -> None:
    """Run protoc from the repository's root, so that generated imports read `app.rpc...`. Raises RuntimeError."""
    from grpc_tools import protoc

    if protoc.main(["protoc", f"-I{ROOT}", *outputs, str(ROOT / PROTO)]) != 0:
        raise RuntimeError(f"protoc refused {PROTO}")


def main() -> int:
    compile_proto(f"--python_out={ROOT}", f"--pyi_out={ROOT}", f"--grpc_python_out={ROOT}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
