"""Names of tables as InnoDB keeps them: the encoding of file names, read back.

Pure. `INNODB_TABLES.NAME` is `schema/table`, `schema/table#p#part` or `schema/table#p#part#sp#sub`, each
piece in the server's internal character set `filename` (manual: Mapping of Identifiers to File Names):
letters, digits and `_` as they are, the letters below as `@` and two characters, everything else as `@`
and four hex digits, and `@@@` after a name that Windows reserves. The `#` of a name is encoded, so a bare
one is always the server's. Partitions are in lower case there. The table below was read off a server;
the tests make the server encode every letter of these blocks again.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from string import ascii_lowercase
from typing import Final

from migrator.model import TableName

_ALPHABET: Final = "ghijklmnopqrstuvwxyz"

# The codes in order, and the letters that they stand for in lower and in upper case;
# "-" is a code without a letter. A capital letter has the first letter of its code in upper case.
_BLOCKS: Final[tuple[tuple[tuple[str, ...], str, str], ...]] = (
    (  # Latin-1 and Latin Extended-A
        tuple(f"{a}{b}" for a in "01234" for b in _ALPHABET),
        "àáâãäåæçèéêëìíîïðñòóôõößøùúûüýþÿāăąćĉċčďđēĕėęěĝğġģĥħĩīĭįıĳĵķĸĺļľŀłńņňŉŋōŏőœŕŗřśŝşšţťŧũūŭůűųŵŷźżžſ",
        "ÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÐÑÒÓÔÕÖ-ØÙÚÛÜÝÞŸĀĂĄĆĈĊČĎĐĒĔĖĘĚĜĞĠĢĤĦĨĪĬĮ-ĲĴĶ-ĹĻĽĿŁŃŅŇ-ŊŌŎŐŒŔŖŘŚŜŞŠŢŤŦŨŪŬŮŰŲŴŶŹŻŽ",
    ),
    (  # Greek
        tuple(f"{a}{b}" for a in "56789" for b in _ALPHABET),
        "------------------ΐ-άέήίΰαβγδεζηθικλμνξοπρςστυφχψωϊϋόύώ-ϐϑ---ϕϖϗϙϛϝϟϡϣϥϧϩϫϭϯϰϱϲϳϵ϶ϸϻϼ",
        "--------------------ΆΈΉΊ-Α-ΓΔΕΖΗ-Ι-ΛΜΝΞΟ-Ρ--ΤΥ-ΧΨΩΪΫΌΎΏ-ΒΘϒϓϔΦΠ--ϚϜϞϠϢϤϦϨϪϬϮΚ-Σ------ϽϾϿ",
    ),
    (  # Cyrillic
        tuple(f"{b}{a}" for a in "0123456" for b in _ALPHABET),
        "абвгдежзийклмнопрстуфхцчшщъыьэюяѐёђѓєѕіїјљњћќѝўџѡѣѥѧѩѫѭѯѱѳѵѷѹѻѽѿҁ-ҋҍҏґғҕҗҙқҝҟҡңҥҧҩҫҭүұҳҵҷҹһҽҿ-ӂӄӆӈӊӌ"
        "ӎ-ӑӓӕӗәӛӝӟӡӣӥӧөӫӭӯӱӳӵӷӹ------ԁԃԅԇԉԋԍԏ",
        "АБВГДЕЖЗИЙКЛМНОПРСТУФХЦЧШЩЪЫЬЭЮЯЀЁЂЃЄЅІЇЈЉЊЋЌЍЎЏѠѢѤѦѨѪѬѮѰѲѴѶѸѺѼѾҀ-ҊҌҎҐҒҔҖҘҚҜҞҠҢҤҦҨҪҬҮҰҲҴҶҸҺҼҾӀӁӃӅӇӉӋ"
        "Ӎ-ӐӒӔӖӘӚӜӞӠӢӤӦӨӪӬӮӰӲӴӶӸ------ԀԂԄԆԈԊԌԎ",
    ),
    (  # Armenian
        tuple(f"{b}{a}" for a in "78" for b in _ALPHABET),
        "-աբգդեզէըթժիլխծկհձղճմյնշոչպջռսվտրցւփքօ",
        "-ԱԲԳԴԵԶԷԸԹԺԻԼԽԾԿՀՁՂՃՄՅՆՇՈՉՊՋՌՍՎՏՐՑՒՓՔՕ",
    ),
    (  # Roman numerals
        tuple(f"{b}9" for b in _ALPHABET),
        "ⅰⅱⅲⅳⅴⅵⅶⅷⅸⅹⅺⅻⅼⅽⅾⅿ",
        "ⅠⅡⅢⅣⅤⅥⅦⅧⅨⅩⅪⅫⅬⅭⅮⅯ",
    ),
    (  # Latin Extended-B and IPA
        tuple(f"{b}{a}" for a in "abcdefghijk" for b in _ALPHABET),
        "ƀƃƅƈƌƍƒƕƙƚƛƞơƣƥƨƪƫƭưƴƶƹƺƻ-ƾƽǆǉǌǎǐǒǔǖǘǚǜǝǟǡǣǥǧǩǫǭǯǰǳǵǹǻǽǿȁȃȅȇȉȋȍȏȑȓȕȗșțȝȟȡȣȥȧȩȫȭȯȱȳȴȵȶȷȸȹ-ȼ-ȿɀ-------"
        "-------ɐɑɒɓɔɕɖɗɘəɚɛɜɝɞɟɠɡɢɣɤɥɦɧɨɩɪɫɬɭɮɯɰɱɲɳɴɵɶɷɸɹɺɻɼɽɾɿʀʁʂʃʄʅʆʇʈʉʊʋʌʍʎʏʐʑʒʓʔʕʖʗʘʙʚʛʜʝʞʟʠʡʢʣʤʥʦʧʨʩʪʫʬ"
        "ʭʮʯ",
        "-ƂƄƇƋ-ƑǶƘȽ-ȠƠƢƤƧ--ƬƯƳƵƸ----ƼǄǇǊǍǏǑǓǕǗǙǛƎǞǠǢǤǦǨǪǬǮ-ǱǴǸǺǼǾȀȂȄȆȈȊȌȎȐȒȔȖȘȚȜȞ-ȢȤȦȨȪȬȮȰȲ------ȺȻȾ---------"
        "----------ƁƆ-ƉƊ-Ə-Ɛ----Ɠ--Ɣ----ƗƖ-----Ɯ--Ɲ--Ɵ----------Ʀ--Ʃ----Ʈ-ƱƲ------Ʒ-Ɂ",
    ),
    (  # Latin Extended Additional
        tuple(f"{b}{a}" for a in "lmnopqr" for b in _ALPHABET),
        "ḁḃḅḇḉḋḍḏḑḓḕḗḙḛḝḟḡḣḥḧḩḫḭḯḱḳḵḷḹḻḽḿṁṃṅṇṉṋṍṏṑṓṕṗṙṛṝṟṡṣṥṧṩṫṭṯṱṳṵṷṹṻṽṿẁẃẅẇẉẋẍẏẑẓẕẖẗẘẙẚẛ----ạảấầẩẫậắằẳẵặẹẻẽ"
        "ếềểễệỉịọỏốồổỗộớờởỡợụủứừửữựỳỵỷỹ",
        "ḀḂḄḆḈḊḌḎḐḒḔḖḘḚḜḞḠḢḤḦḨḪḬḮḰḲḴḶḸḺḼḾṀṂṄṆṈṊṌṎṐṒṔṖṘṚṜṞ-ṢṤṦṨṪṬṮṰṲṴṶṸṺṼṾẀẂẄẆẈẊẌẎẐẒẔ-----Ṡ----ẠẢẤẦẨẪẬẮẰẲẴẶẸẺẼ"
        "ẾỀỂỄỆỈỊỌỎỐỒỔỖỘỚỜỞỠỢỤỦỨỪỬỮỰỲỴỶỸ",
    ),
    (  # Greek Extended
        tuple(f"{b}{a}" for a in "stuvwxyz" for b in _ALPHABET),
        "ἀἁἂἃἄἅἆἇἐἑἒἓἔἕ----ἠἡἢἣἤἥἦἧἰἱἲἳἴἵἶἷὀὁὂὃὄὅ----ὐὑὒὓὔὕὖὗ----ὠὡὢὣὤὥὦὧὰάὲέὴήὶίὸόὺύὼώ--ᾀᾁᾂᾃᾄᾅᾆᾇᾐᾑᾒᾓᾔᾕᾖᾗᾠᾡᾢᾣ"
        "ᾤᾥᾦᾧᾰᾱᾲᾳᾴ-ᾶᾷῂῃῄ-ῆῇῐῑῒΐ--ῖῗ-ῠῡῢΰῤῥῦῧ--ῲῳ--ῶῷ",
        "ἈἉἊἋἌἍἎἏἘἙἚἛἜἝ----ἨἩἪἫἬἭἮἯἸἹἺἻἼἽἾἿὈὉὊὋὌὍ-----Ὑ-Ὓ-Ὕ-Ὗ----ὨὩὪὫὬὭὮὯᾺΆῈΈῊΉῚΊῸΌῪΎῺΏ--ᾈᾉᾊᾋᾌᾍᾎᾏᾘᾙᾚᾛᾜᾝᾞᾟᾨᾩᾪᾫ"
        "ᾬᾭᾮᾯᾸᾹ-ᾼ-----ῌ----ῘῙ-------ῨῩ---Ῥ-----ῼ",
    ),
    (  # circled letters
        tuple(f"@{a}" for a in ascii_lowercase),
        "ⓐⓑⓒⓓⓔⓕⓖⓗⓘⓙⓚⓛⓜⓝⓞⓟⓠⓡⓢⓣⓤⓥⓦⓧⓨⓩ",
        "ⒶⒷⒸⒹⒺⒻⒼⒽⒾⒿⓀⓁⓂⓃⓄⓅⓆⓇⓈⓉⓊⓋⓌⓍⓎⓏ",
    ),
    (  # full-width letters
        tuple(f"{a}@" for a in ascii_lowercase),
        "ａｂｃｄｅｆｇｈｉｊｋｌｍｎｏｐｑｒｓｔｕｖｗｘｙｚ",
        "ＡＢＣＤＥＦＧＨＩＪＫＬＭＮＯＰＱＲＳＴＵＶＷＸＹＺ",
    ),
)


def _letters() -> dict[str, str]:
    found: dict[str, str] = {}
    for codes, lower, upper in _BLOCKS:
        found |= {code: letter for code, letter in zip(codes, lower, strict=False) if letter != "-"}
        capital = (re.sub("[a-z]", lambda first: first[0].upper(), code, count=1) for code in codes)
        found |= {code: letter for code, letter in zip(capital, upper, strict=False) if letter != "-"}
    return found


LETTERS: Final = _letters()
"""The letter of each two-character code, which follows an `@`."""

_ENCODED: Final = re.compile("@(?:([0-9a-f]{4})|(..))", re.DOTALL)
_RESERVED: Final = "@@@"
_PARTITION: Final = re.compile("#p#", re.IGNORECASE)
_SUBPARTITION: Final = re.compile("#sp#", re.IGNORECASE)
# The server lets nobody else have a table of such a name (error 1103).
_FULLTEXT: Final = re.compile(
    "fts_([0-9a-f]{16})_(?:(?:being_)?deleted(?:_cache)?|config|added|stopwords|[0-9a-f]{16}_index_[1-6])",
    re.IGNORECASE,
)


def decode(encoded: str) -> str:
    """The identifier that `encoded` stands for; a code that nothing is known of stays as it is."""

    def letter(code: re.Match[str]) -> str:
        if code[1]:
            return chr(int(code[1], 16))
        return LETTERS.get(code[2], code[0])

    return _ENCODED.sub(letter, encoded.removesuffix(_RESERVED))


@dataclass(frozen=True, slots=True)
class InnodbName:
    """What an InnoDB table belongs to."""

    table: TableName
    partition: str = ""
    """In lower case; the subpartition where there are any."""
    fulltext_of: int | None = None
    """The table_id of the table to whose FULLTEXT index this belongs."""


def innodb_name(name: str) -> InnodbName | None:
    """Read INNODB_TABLES.NAME; None for what is no table of a user, such as `shop/#sql-ib77` while an ALTER runs."""
    schema, slash, rest = name.partition("/")
    if not slash or rest.startswith("#"):
        return None
    table, *parts = _PARTITION.split(rest, maxsplit=1)
    leaf = _SUBPARTITION.split(parts[0])[-1] if parts else ""
    fulltext = _FULLTEXT.fullmatch(rest)
    return InnodbName(
        table=TableName(decode(schema), decode(table)),
        partition=decode(leaf),
        fulltext_of=int(fulltext[1], 16) if fulltext else None,
    )
