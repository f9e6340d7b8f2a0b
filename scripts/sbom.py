"""Write the bill of materials of each lock file, CycloneDX 1.6: `make sbom`.

The same locks give the same files: no time and no chance is in them.
"""

import json
import sys
from pathlib import Path
from uuid import NAMESPACE_URL, uuid5

from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output import make_outputter
from cyclonedx.schema import OutputFormat, SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL

from scripts.pins import ROOT, Pin, Review, locks, pins_of, reviews

SCHEMA = SchemaVersion.V1_6
PLACE = ROOT / "build" / "sbom"


def bill_of(lock: str) -> str:
    """Return the bill of one lock as JSON; it names every pin, and what was said of it."""
    pins, said = pins_of(lock), reviews()
    parts = [part_of(pin, said.get(pin.name)) for pin in pins]
    ours = Component(
        name="tradefleet", type=ComponentType.APPLICATION, bom_ref=f"tradefleet/{lock}"
    )
    name = "\n".join(f"{pin.name}=={pin.version};{pin.marker}" for pin in pins)
    bill = Bom(components=parts, serial_number=uuid5(NAMESPACE_URL, f"{lock}\n{name}"))
    bill.metadata.component = ours
    bill.register_dependency(ours, parts)
    return without_time(make_outputter(bill, OutputFormat.JSON, SCHEMA).output_as_string())


def part_of(pin: Pin, review: Review | None) -> Component:
    """Return a pin as a component; every file that may be installed has its hash in it."""
    told = {"marker": pin.marker}
    if review is not None:
        told |= {"purpose": review.purpose, "network": str(review.network).lower()}
        told["sees"] = review.sees
    purl = PackageURL("pypi", None, pin.name, pin.version)
    return Component(
        type=ComponentType.LIBRARY,
        name=pin.name,
        version=pin.version,
        purl=purl,
        bom_ref=f"{purl.to_string()}#{pin.marker}" if pin.marker else purl.to_string(),
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=each) for each in pin.hashes],
        properties=[
            Property(name=f"tradefleet:{key}", value=value) for key, value in told.items() if value
        ],
    )


def without_time(text: str) -> str:
    """Leave out when it was written, which would make each file another one."""
    bill = json.loads(text)
    bill["metadata"].pop("timestamp")
    return json.dumps(bill, indent=2, sort_keys=True)


def faults_of(text: str) -> str:
    """Return what is not as CycloneDX wants it, "" when all is."""
    fault = JsonStrictValidator(SCHEMA).validate_str(text)
    return str(fault) if fault else ""


def main(place: Path = PLACE) -> int:
    place.mkdir(parents=True, exist_ok=True)
    for lock in locks():
        text = bill_of(lock)
        if fault := faults_of(text):
            print(f"{lock}: {fault}", file=sys.stderr)
            return 1
        path = place / f"{lock}.cdx.json"
        path.write_text(text + "\n")
        print(f"{path}: {len(pins_of(lock))} pins")
    return 0


if __name__ == "__main__":
    sys.exit(main(*map(Path, sys.argv[1:])))
