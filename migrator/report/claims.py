"""What evidence of this kind shows for some well-known requirements, and what it does not. A fixed table: no server is
read for it, and nothing here is a verdict. Requirements are named and paraphrased; their own texts are what counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Claim:
    """One requirement."""

    source: str
    number: str
    about: str
    shows: str
    does_not_show: str


_PCI: Final = "PCI DSS 4.0.1"

CLAIMS: Final[tuple[Claim, ...]] = (
    Claim(
        _PCI,
        "3.5.1",
        "Stored account numbers are unreadable",
        "Which tables and tablespaces of this server are stored encrypted, by the catalog, and where files were"
        " read by their pages; which are not, and why. Pages are encrypted with AES-256 in CBC mode, each"
        " tablespace's key by the master key.",
        "Which tables hold account numbers. Other servers, replicas, backups, exports, logs of applications.",
    ),
    Claim(
        _PCI,
        "3.5.1.2, 3.5.1.3",
        "Where encryption is at the level of disk or partition: only for removable media, or with another mechanism"
        " beside it; access to it apart from that of the operating system",
        "That the server encrypts file by file, with keys from its keyring. Every account with rights on a table"
        " reads its rows in clear.",
        "Whether your assessor counts encryption that the server undoes for everybody as that of a disk. Who may log"
        " in to the host, and who may read the keyring.",
    ),
    Claim(
        _PCI,
        "3.6.1, 3.6.1.1 to 3.6.1.4",
        "Keys are protected: few custodians, fewest places, documented, keys for keys as strong and kept apart",
        "The kind of the keyring, whether its file lies in the data directory, the names of master keys, and what"
        " people vouched for (a backup of the keyring, keyrings of replicas).",
        "Custody, a hardware module, who may read the keyring's file or vault, that the backup can be restored, a"
        " validated cryptographic module (FIPS).",
    ),
    Claim(
        _PCI,
        "3.7.1 to 3.7.3",
        "How keys are generated, distributed and stored",
        "That the server makes the keys, and which keyring holds them.",
        "The quality of random numbers, procedures, and how a keyring comes to other servers.",
    ),
    Claim(
        _PCI,
        "3.7.4",
        "Keys are changed at the end of their cryptoperiod",
        "Rotations of the master key that were made with this tool, and which key the files name where they were read.",
        "What your cryptoperiod is. A rotation encrypts the tablespaces' keys anew, not the rows.",
    ),
    Claim(
        _PCI,
        "3.7.5 to 3.7.8",
        "Retired or weak keys, split knowledge, substitution, custodians",
        "Nothing.",
        "All of it: these are procedures of people.",
    ),
    Claim(
        "HIPAA",
        "45 CFR 164.312(a)(2)(iv)",
        "Encryption and decryption (addressable)",
        "A mechanism that encrypts the tables listed here, when it was put in place, by whom, and what is left out.",
        "Your risk analysis and its decision, where else health information lies, and whether the key is kept apart"
        " from the data.",
    ),
    Claim(
        "GDPR",
        "Art. 32(1)(a)",
        "Encryption of personal data, as appropriate to the risk",
        "Which tables and tablespaces of this server are encrypted at rest, and which are not.",
        "Which of them hold personal data, whether that is appropriate, and all processing elsewhere.",
    ),
    Claim(
        "GDPR",
        "Art. 32(1)(d)",
        "Regularly testing whether measures are effective",
        "The state at the time above, as it was found. A series of such files shows that somebody looks.",
        "That anybody acts on it.",
    ),
)
