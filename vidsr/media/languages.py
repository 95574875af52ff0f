"""Language codes: the ways in which containers write one language (ISO 639-1, 639-2/T and /B; BCP 47)."""

from __future__ import annotations

# ISO 639-1 code and its ISO 639-2/T code.
_PAIRS = (
    "aaaar ababk aeave afafr akaka amamh anarg arara asasm avava ayaym azaze babak bebel bgbul bhbih bibis bmbam bnben "
    "bobod brbre bsbos cacat ceche chcha cocos crcre csces cuchu cvchv cycym dadan dedeu dvdiv dzdzo eeewe elell eneng "
    "eoepo esspa etest eueus fafas ffful fifin fjfij fofao frfra fyfry gagle gdgla glglg gngrn guguj gvglv hahau heheb "
    "hihin hohmo hrhrv hthat huhun hyhye hzher iaina idind ieile igibo iiiii ikipk ioido isisl itita iuiku jajpn jvjav "
    "kakat kgkon kikik kjkua kkkaz klkal kmkhm knkan kokor krkau kskas kukur kvkom kwcor kykir lalat lbltz lglug lilim "
    "lnlin lolao ltlit lulub lvlav mgmlg mhmah mimri mkmkd mlmal mnmon mrmar msmsa mtmlt mymya nanau nbnob ndnde nenep "
    "ngndo nlnld nnnno nonor nrnbl nvnav nynya ococi ojoji omorm orori ososs papan pipli plpol pspus ptpor quque rmroh "
    "rnrun roron rurus rwkin sasan scsrd sdsnd sesme sgsag sisin skslk slslv smsmo snsna sosom sqsqi srsrp ssssw stsot "
    "susun svswe swswa tatam tetel tgtgk ththa titir tktuk tltgl tntsn toton trtur tstso tttat twtwi tytah uguig ukukr "
    "ururd uzuzb veven vivie vovol wawln wowol xhxho yiyid yoyor zazha zhzho zuzul"
)
# ISO 639-2/T code and its bibliographic twin, which QuickTime and older Matroska files use.
_TWINS = (
    "sqialb hyearm eusbaq myabur zhochi cescze nlddut frafre katgeo deuger ellgre islice mkdmac mrimao msamay fasper "
    "ronrum slkslo bodtib cymwel"
)
_TO_3 = {pair[:2]: pair[2:] for pair in _PAIRS.split()}
_TO_B = {pair[:3]: pair[3:] for pair in _TWINS.split()}
_TO_T = {b: t for t, b in _TO_B.items()}


def canonical(language: str) -> str:
    """The ISO 639-2/T code of a language where there is one; the text itself, in lower case, otherwise."""
    first = language.lower().replace("_", "-").partition("-")[0]
    known = _TO_T.get(first, _TO_3.get(first, first))
    return known if len(known) == 3 else language.lower()


def spellings(language: str) -> tuple[str, ...]:
    """The language as it stands, then in the other ways to write it."""
    code = canonical(language)
    return tuple(dict.fromkeys((language, code, _TO_B.get(code, code))))
