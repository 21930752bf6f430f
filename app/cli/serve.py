"""`serve`: run the service."""

from __future__ import annotations

import argparse
import sys


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("serve", help="run the HTTP service")
    parser.add_argument("--host", help="address to listen on, default: the setting HOST")
    parser.add_argument("--port", type=int, help="port, default: the setting PORT")
    parser.add_argument("--workers", type=int, default=1, help="processes; each holds its own recogniser")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from app.core.logging import start_failure
    from app.core.settings import SettingsError, load_settings
    from app.server.serve import WRONG_SETTINGS, serve

    overrides = {name: getattr(args, name) for name in ("host", "port") if getattr(args, name) is not None}
    try:
        settings = load_settings(**overrides)
        # Imported here: they load PyTorch, and what is wrong with a setting is said without waiting for it.
        from app.services.recognition.checkpoint_store import check_checkpoint
        from app.services.recognition.devices import resolve_device

        # Checked here as well as in the application: otherwise each worker would fail and be restarted for ever.
        check_checkpoint(settings)
        resolve_device(settings.device)
    except SettingsError as problem:
        sys.stderr.write(start_failure(str(problem)))
        return WRONG_SETTINGS
    shown = "localhost" if settings.host in ("0.0.0.0", "::") else settings.host
    if not settings.log_json:
        print(
            f"Glossline on http://{shown}:{settings.port}  (API: http://{shown}:{settings.port}/docs)\n"
            f"Try:  curl -F file=@app/signer/samples/hello.mp4 http://{shown}:{settings.port}/api/inference/predict",
            file=sys.stderr,
        )
    serve(settings, args.workers)
    return 0
