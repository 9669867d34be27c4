"""Real studies from their files: what ``init`` proposes, the lines a person edits, and the published figures.

``edits`` are (line of the proposal, what it becomes); an empty text removes the line, several lines count each.
``figures`` are (place in the results, value, tolerance); places: ids of estimates, or ``table/column/key=value|...``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import log
from typing import Any

#: A budget that shows that the models and the search run; their numbers are not looked at here.
MODELS = "models: {engines: [clinical_cox], outer_folds: 2, inner_folds: 2, trials: 1, bootstrap: 20}"
SEARCH = "rule_search: {permutations: 100, worlds: 50, bootstrap: 20}"
OBSERVATIONAL = "  allocation: observational"
RANDOMISED = "  allocation: randomised"
Figure = tuple[str, Any, float]


@dataclass(frozen=True, slots=True)
class Study:
    """One data set; ``edits`` name the line of the proposal by how it starts."""

    name: str
    data: tuple[str, ...]
    edits: tuple[tuple[str, str], ...]
    patients: int
    events: int | None
    figures: tuple[Figure, ...] = field(default=())


def hazard_ratio(pair: str, value: float, lower: float, upper: float, tolerance: float = 0.0051) -> tuple[Figure, ...]:
    name = f"primary.cox.hazard_ratio.{pair}"
    return ((name, value, tolerance), (f"{name}:lower", lower, tolerance), (f"{name}:upper", upper, 2 * tolerance))


def factor(variable: str, level: str, value: float, tolerance: float = 0.0051, column: str = "hazard_ratio") -> Figure:
    return (f"prognostic.factors/{column}/variable={variable}|level={level}", value, tolerance)


def subgroup(variable: str, level: str, value: float, tolerance: float = 0.0051) -> Figure:
    return (f"forest.rows/hazard_ratio/variable={variable}|level={level}", value, tolerance)


def at_time(months: int, column: str, value: float) -> Figure:
    return (f"primary.milestones/{column}/arm=all|time={float(months)}", value, 0.00051)


def in_arm(arm: str, patients: int, events: int) -> tuple[Figure, ...]:
    return ((f"primary.km.median.{arm}:n", patients, 0), (f"primary.km.median.{arm}:events", events, 0))


def in_files(rows: int) -> Figure:
    """Rows of the first file, before anything is left out."""
    return ("cohort.attrition/before/kind=source", rows, 0)


def altered(gene: str, patients: int) -> Figure:
    return (f"cohort.features/altered/feature={gene}", patients, 0)


def refitted(term: str, value: float, published: float, tolerance: float = 0.0051) -> tuple[Figure, ...]:
    """A coefficient of the Mayo model as the README has it from these data, and that of the publication."""
    place = f"model=mayo|term={term}"
    return (
        (f"published.terms/value/{place}", value, tolerance),
        (f"published.terms/published/{place}", published, tolerance),
    )


def by_cohort(cohort: str, value: float) -> Figure:
    return (f"published.performance/value/model=loris|group={cohort}|metric=auc", value, 0.0011)


def event(column: str, events: str = "1", censored: str = "0") -> tuple[str, str]:
    return (
        f'    event: {{column: "{column}"',
        f'    event: {{column: "{column}", events: [{events}], censored: [{censored}]}}',
    )


IWPC = "iwpc-2009"
BUDGET = ("seed:", f"seed: 20260101\n{MODELS}\n{SEARCH}")
MODEL_BUDGET = ("seed:", f"seed: 20260101\n{MODELS}")

STUDIES: tuple[Study, ...] = (
    Study(
        "actg175",
        ("actg175/actg175.csv",),
        (event("cens"), (OBSERVATIONAL, RANDOMISED), ('  - {column: "r",', ""), BUDGET),
        2139,
        521,
        (
            *hazard_ratio("arm1_vs_arm0", 0.49, 0.39, 0.63, 0.011),
            *hazard_ratio("arm2_vs_arm0", 0.52, 0.41, 0.67, 0.011),
            *hazard_ratio("arm3_vs_arm0", 0.59, 0.47, 0.73, 0.011),
        ),
    ),
    Study(
        "actg320",
        ("actg320/actg320.csv",),
        ((OBSERVATIONAL, RANDOMISED), BUDGET),
        1151,
        96,
        hazard_ratio("arm1_vs_arm0", 0.50, 0.33, 0.77),
    ),
    Study(
        "actg320-deaths",
        ("actg320/actg320.csv",),
        (
            (OBSERVATIONAL, RANDOMISED),
            ("  endpoint: aids-or-death", "  endpoint: death"),
            (
                BUDGET[0],
                f"{BUDGET[1]}\nanalysis: {{minimum_events: 5}}\ndisclosure: {{minimum_cell: 5}}",
            ),
        ),
        1151,
        26,
        hazard_ratio("arm1_vs_arm0", 0.43, 0.19, 1.00),
    ),
    Study(
        "aspirin",
        ("aspirin_polyp/aspirin.csv",),
        (
            ("    kind: FILL", "    kind: binary"),
            (
                "    value: FILL",
                "    value: AD\n    positive: [1]\n    negative_values: [0]\n    missing_outcome: drop",
            ),
            (OBSERVATIONAL, RANDOMISED),
            ("  endpoint: primary", "  endpoint: primary\n  summary: risk_difference"),
            ('  - {column: "AD"', ""),
            ('  - {column: "AL"', ""),
        ),
        1084,
        None,
        (
            in_files(1121),
            ("primary.risk.arm0", 0.471, 0.0006),
            ("primary.risk.arm1", 0.383, 0.0006),
            ("primary.risk.arm2", 0.451, 0.0006),
        ),
    ),
    Study(
        "aspirin-advanced",
        ("aspirin_polyp/aspirin.csv",),
        (
            ("    kind: FILL", "    kind: binary"),
            (
                "    value: FILL",
                "    value: AL\n    positive: [1]\n    negative_values: [0]\n    missing_outcome: drop",
            ),
            (OBSERVATIONAL, RANDOMISED),
            ("  endpoint: primary", "  endpoint: primary\n  summary: risk_difference"),
            ('  - {column: "AD"', ""),
            ('  - {column: "AL"', ""),
        ),
        1084,
        None,
        (
            ("primary.risk.arm0", 0.124, 0.0006),
            ("primary.risk.arm1", 0.077, 0.0006),
            ("primary.risk.arm2", 0.107, 0.0006),
            ("primary.risk.arm0:n", 363, 0),
            ("primary.risk.arm1:n", 366, 0),
            ("primary.risk.arm2:n", 355, 0),
        ),
    ),
    Study(
        "breast-taxane",
        ("breast_taxane_expr/breast.csv.gz",),
        (
            (OBSERVATIONAL, "  allocation: partly_randomised"),
            (
                "  levels: [",
                "  levels: [{name: without, value: -0.5, control: true}, {name: taxane, value: 0.5}]",
            ),
            ("    unit: FILL", "    unit: years"),
            BUDGET,
        ),
        614,
        134,
        hazard_ratio("taxane_vs_without", 0.98, 0.63, 1.52),
    ),
    Study(
        "cgd",
        ("cgd/cgd.csv",),
        ((OBSERVATIONAL, RANDOMISED), BUDGET),
        128,
        44,
        (
            *hazard_ratio("arm1_vs_arm0", 0.33, 0.17, 0.65, 0.006),
            *in_arm("arm0", 65, 30),
            *in_arm("arm1", 63, 14),
            ("cohort.sources/rows/source=cgd", 203, 0),
        ),
    ),
    Study(
        "colon",
        ("colon_adjuvant/colon.csv",),
        ((OBSERVATIONAL, RANDOMISED), BUDGET),
        929,
        468,
        hazard_ratio("arm1_vs_arm2", 0.60, 0.48, 0.76, 0.006),
    ),
    Study(
        "colon-deaths",
        ("colon_adjuvant/colon.csv",),
        ((OBSERVATIONAL, RANDOMISED), ('    where: {"etype": 1}', '    where: {"etype": 2}'), BUDGET),
        929,
        452,
        hazard_ratio("arm1_vs_arm2", 0.69, 0.55, 0.87, 0.006),
    ),
    Study(
        "gbsg2",
        ("gbsg2/gbsg2.csv",),
        (
            event("cens"),
            (OBSERVATIONAL, "  allocation: partly_randomised"),
            (
                "seed:",
                (f"seed: 20260101\n{MODELS}\n{SEARCH}\n"
                "analysis: {adjust_for: [age, menostat, tsize, tgrade, pnodes, progrec, estrec]}"),
            ),
        ),
        686,
        299,
        (
            *hazard_ratio("arm1_vs_arm0", 0.695, 0.544, 0.888, 0.0006),
            ("primary.cox.adjusted_hazard_ratio.arm1_vs_arm0", 0.71, 0.011),
        ),
    ),
    Study(
        "rotterdam",
        ("gbsg2/rotterdam.csv",),
        (("  endpoint: recur", "  endpoint: death"), BUDGET),
        2982,
        1272,
        (("primary.cox.hazard_ratio.arm1_vs_arm0", 1.51, 0.0051),),
    ),
    Study(
        "cdisc-pilot",
        ("cdisc_pilot/adam_xpt",),
        ((OBSERVATIONAL, RANDOMISED), BUDGET),
        254,
        152,
        # the published ratios come from one model of all three arms
        (
            ("primary.cox.hazard_ratio.arm2_vs_arm0", 4.1, 0.051),
            ("primary.cox.hazard_ratio.arm1_vs_arm0", 5.0, 0.1),
            ("primary.logrank.p.all", 8e-14, 0.5e-14),
            ("primary.km.median.arm0:events", 29, 0),
            ("primary.km.median.arm2:events", 62, 0),
            ("primary.km.median.arm1:events", 61, 0),
        ),
    ),
    Study(
        "study-es-0",
        ("cbioportal_study_es_0",),
        (MODEL_BUDGET,),
        808,
        87,
        (in_files(841), ("cohort.sources/rows/source=cbioportal_study_es_0_samples_1", 845, 0)),
    ),
    Study(
        "laml",
        ("tcga_laml_maf",),
        (("    assayed: listed", "    assayed: patients"), MODEL_BUDGET),
        188,
        122,
        (
            factor("DNMT3A", "altered", 1.92),
            factor("DNMT3A", "altered", 1.28, 0.0051, "lower"),
            factor("DNMT3A", "altered", 2.86, 0.011, "upper"),
        ),
    ),
    Study(
        "laml-genes",  # all 200, also those without follow-up
        ("tcga_laml_maf",),
        (
            (
                "  - name: overall-survival",
                ("  - {name: died, label: Died, kind: binary, value: Overall_Survival_Status, positive: [1], "
                "negative_values: [0]}\n  - name: overall-survival"),
            ),
            ("  endpoint: overall-survival", "  endpoint: died\n  summary: odds_ratio"),
            ("    assayed: listed", "    assayed: patients"),
        ),
        200,
        133,
        (altered("FLT3", 52), altered("DNMT3A", 48), altered("NPM1", 33)),
    ),
    Study(
        "iwpc-warfarin",
        ("iwpc_warfarin/iwpc_warfarin.csv.gz",),
        (
            ("    kind: FILL", "    kind: continuous"),
            ("    value: FILL", "    value: Therapeutic Dose of Warfarin\n    missing_outcome: drop"),
            ("  endpoint: primary", "  endpoint: primary\n  summary: mean_difference"),
            ('  - {column: "Therapeutic Dose', ""),
            ('  - {column: "INR on Reported', ""),
            (
                '  - {column: "VKORC1 -1639 consensus"',
                '  - {column: "VKORC1 -1639 consensus", kind: categorical, levels: [G/G, A/G, A/A], role: prognostic}',
            ),
        ),
        5528,
        None,
        (
            in_files(5700),
            factor("VKORC1 -1639 consensus", "G/G", 40, 0.51, "median"),
            factor("VKORC1 -1639 consensus", "A/G", 28, 0.51, "median"),
            factor("VKORC1 -1639 consensus", "A/A", 19, 0.51, "median"),
        ),
    ),
    Study(
        "iwpc-algorithms",
        ("iwpc_warfarin/iwpc_warfarin.csv.gz",),
        (
            ("    kind: FILL", "    kind: continuous"),
            ("    value: FILL", "    value: Therapeutic Dose of Warfarin\n    missing_outcome: drop"),
            ("  endpoint: primary", "  endpoint: primary\n  summary: mean_difference"),
            ('  - {column: "Therapeutic Dose', ""),
            ("seed:", f"seed: 20260101\npublished_models: [{IWPC}-pharmacogenetic.yaml, {IWPC}-clinical.yaml]"),
        ),
        5528,
        None,
        (
            # the README's ranges: 8.4 to 8.7 mg, and 0.47 to 0.50 on the scale that the algorithm predicts
            ("published.iwpc-pharmacogenetic.mae", 8.55, 0.15),
            ("published.iwpc-pharmacogenetic.r2_root", 0.485, 0.015),
            # NEJM 2009, validation: 0.43 on the scale of the dose
            ("published.iwpc-pharmacogenetic.r2", 0.43, 0.0051),
            ("published.iwpc-pharmacogenetic.within", 0.452, 0.0006),
            ("published.iwpc-clinical.mae", 9.98, 0.0051),
            ("published.iwpc-clinical.within", 0.393, 0.0006),
        ),
    ),
    *(
        Study(
            f"loris-tmb-{name}",
            ("loris_icb/loris_all_cohorts.csv",),
            (
                # one cohort has days under the name of months; it is not in this analysis
                ('    time: "PFS_Months"', '    time: "PFS_Months"\n    maximum: 9999'),
                ('    time: "OS_Months"', '    time: "OS_Months"\n    maximum: 9999'),
                (
                    "eligibility: []",
                    ("eligibility: [{id: I1, kind: inclusion, text: Cohort, when: [{column: cohort, "
                    f"one_of: [{cohorts}]}}]}}]"),
                ),
                ("seed:", f"seed: 20260101\n{MODELS}\npublished_models: [tmb-10.yaml]"),
            ),
            patients,
            events,
            (("published.terms/value/model=tmb-10|term=TMB >= 10", log(value), 0.0085),),
        )
        for name, cohorts, patients, events, value in (
            ("with-blockade", "Chowell_train, Chowell_test", 1479, 873, 0.59),
            ("without-blockade", "MSK_nonICB", 841, 293, 1.31),
        )
    ),
    Study(
        "loris-formula",  # the authors' own column, known in the cohort without blockade
        ("loris_icb/loris_all_cohorts.csv",),
        (
            (
                "  - name: pfs",
                "  - {name: loris, label: LORIS, kind: continuous, value: LORIS, missing_outcome: drop}\n  - name: pfs",
            ),
            ('    time: "PFS_Months"', '    time: "PFS_Months"\n    maximum: 9999'),
            ('    time: "OS_Months"', '    time: "OS_Months"\n    maximum: 9999'),
            ("  endpoint: os", "  endpoint: loris\n  summary: mean_difference"),
            ("seed:", "seed: 20260101\npublished_models: [loris-2024.yaml]"),
        ),
        841,
        None,
        (
            ("published.loris.mae", 0, 0.0009),
            ("published.loris.within", 1, 0),
            ("published.performance/n/model=loris|group=all|metric=mae", 841, 0),
        ),
    ),
    Study(
        "loris-response",
        ("loris_icb/loris_all_cohorts.csv",),
        (
            (
                "  - name: pfs",
                ("  - {name: response, label: Response, kind: binary, value: Response, positive: [1],\n"
                "     negative_values: [0], missing_outcome: drop}\n  - name: pfs"),
            ),
            # one cohort has days under the name of months; neither endpoint is analysed
            ('    time: "PFS_Months"', '    time: "PFS_Months"\n    maximum: 9999'),
            ('    time: "OS_Months"', '    time: "OS_Months"\n    maximum: 9999'),
            ("  endpoint: os", "  endpoint: response\n  summary: odds_ratio"),
            ("seed:", "seed: 20260101\npublished_models: [loris-2024.yaml]\nmodels: {group_by: cohort}"),
        ),
        2881,
        825,
        (
            in_files(3722),
            by_cohort("Chowell_test", 0.754),
            by_cohort("MSK1", 0.699),
            by_cohort("Ravi_NSCLC", 0.725),
        ),
    ),
    Study(
        "metabric",
        ("metabric/metabric_clinical.csv",),
        (
            (
                '  - {column: "Pam50',
                ('  - {column: "Pam50 + Claudin-low subtype", kind: categorical, role: prognostic, '
                "levels: [LumA, LumB, Her2, Basal, claudin-low, Normal, NC]}"),
            ),
            MODEL_BUDGET,
        ),
        1981,
        1144,
        (
            in_files(2509),
            factor("Pam50 + Claudin-low subtype", "Her2", 1.65),
            factor("Pam50 + Claudin-low subtype", "LumB", 1.53),
            factor("Pam50 + Claudin-low subtype", "Basal", 1.33),
        ),
    ),
    Study(
        "metabric-relapse",
        ("metabric/metabric_clinical.csv",),
        (("  endpoint: overall-survival", "  endpoint: relapse-free"), MODEL_BUDGET),
        2380,
        964,  # of the 1,002 relapses that the README counts 38 have no time, of relapse or death
    ),
    Study(
        "metabric-relapse-status",
        ("metabric/metabric_clinical.csv",),
        (
            (
                "  - name: overall-survival",
                ('  - {name: relapse, label: Relapse, kind: binary, value: Relapse Free Status, '
                'positive: ["1:Recurred"], '
                'negative_values: ["0:Not Recurred"], missing_outcome: drop}\n  - name: overall-survival'),
            ),
            ("  endpoint: overall-survival", "  endpoint: relapse\n  summary: odds_ratio"),
        ),
        2488,
        1002,
        (("primary.risk.all", 1002 / 2488, 0.00001),),
    ),
    Study(
        "metabric-ihc4",
        ("metabric/metabric_ihc4.csv",),
        (
            ('  - {column: "split"', ""),
            ("seed:", f"seed: 20260101\n{MODELS[:-1]}, outer: groups, group_by: split}}"),
        ),
        1904,
        1103,
        (("models.groups/uno_c/model=clinical_cox.combined|group=test", 0.632, 0.0051),),
    ),
    Study(
        "mgus2",
        ("mgus2_competing/mgus2.csv",),
        (
            event("pstat"),
            (
                '    time: "ptime"',
                '    time: "ptime"\n    kind: competing\n    competing: [death]\n    milestones: [120, 240, 300]',
            ),
            ("    unit: FILL", "    unit: months"),
            ("    unit: FILL", "    unit: months"),
            # two progressions between 20 and 25 years
            ("seed:", f"seed: 20260101\n{MODELS}\ndisclosure: {{minimum_cell: 2}}"),
        ),
        1384,
        115,
        (
            at_time(120, "naive", 0.095),
            at_time(240, "naive", 0.210),
            at_time(300, "naive", 0.261),
            at_time(120, "incidence", 0.064),
            at_time(240, "incidence", 0.100),
        ),
    ),
    Study(
        "mgus2-deaths",
        ("mgus2_competing/mgus2.csv",),
        (
            event("pstat"),
            ("    unit: FILL", "    unit: months"),
            ("    unit: FILL", "    unit: months"),
            ("  endpoint: pstat", "  endpoint: death"),
            MODEL_BUDGET,
        ),
        1384,
        963,
    ),
    Study(
        "myeloma",
        ("myeloma_gse4581/myeloma.csv",),
        (("    unit: FILL", "    unit: months"), MODEL_BUDGET),
        256,
        70,
        (factor("molecular_group", "Proliferation", 2.99), factor("molecular_group", "MMSET", 2.14)),
    ),
    Study(
        "oak",
        ("oak_btmb/oak.csv",),
        (
            (OBSERVATIONAL, RANDOMISED),
            ("    unit: FILL", "    unit: months"),
            (
                "eligibility: []",
                "eligibility: [{id: I1, kind: inclusion, text: High, when: [{column: btmb, at_least: 16}]}]",
            ),
            BUDGET,
        ),
        156,  # of 578
        None,
        (in_files(578), ("primary.cox.hazard_ratio.arm1_vs_arm0", 0.64, 0.06)),
    ),
    Study(
        "pbc",
        ("pbc/pbc.csv",),
        (
            event("status", "2", "0, 1"),
            (OBSERVATIONAL, RANDOMISED),
            ("  levels: [", "  levels: [{name: dpca, value: 1, control: true}, {name: placebo, value: 2}]"),
            BUDGET,
        ),
        312,
        125,
        hazard_ratio("placebo_vs_dpca", 0.94, 0.67, 1.34, 0.006),
    ),
    Study(
        "pbc-visits",
        ("pbc/pbcseq.csv",),
        (
            event("status", "2", "0, 1"),
            (OBSERVATIONAL, RANDOMISED),
            MODEL_BUDGET,
        ),
        312,
        140,
        (("cohort.sources/rows/source=pbcseq", 1945, 0),),
    ),
    Study(
        "udca",  # the time to varices, ascites, ... have too few events for an effect
        ("pbc/udca.csv",),
        (
            ("    kind: FILL", "    start: entry.dt\n    end: last.dt\n    unit: days"),
            ("    value: FILL", "    event: {column: hprogress.dt, style: dated}"),
            (OBSERVATIONAL, RANDOMISED),
            ("seed:", f"seed: 20260101\n{MODELS}\nanalysis: {{minimum_events: 5}}\ndisclosure: {{minimum_cell: 5}}"),
        ),
        170,
        None,
    ),
    Study(
        "pbc-mayo",  # everybody, also those who were not randomised
        ("pbc/pbc.csv",),
        (
            event("status", "2", "0, 1"),
            ("arms:", ""),
            ('  column: "trt"', ""),
            ("  allocation:", ""),
            ("  confounders:", ""),
            ("  missing: drop", ""),
            ("  levels: [", ""),
            ("seed:", f"seed: 20260101\n{MODELS}\npublished_models: [mayo-1989.yaml]"),
        ),
        418,
        161,
        (
            *refitted("log(bili)", 0.86, 0.87),
            *refitted("log(albumin)", -2.51, -2.53),
            *refitted("log(protime)", 2.39, 2.38),
            *refitted("age", 0.040, 0.039, 0.00051),
            *refitted("edema", 0.90, 0.86),
        ),
    ),
    Study(
        "prca",
        ("prca_prostate/prca.csv",),
        (event("cens"), ("    unit: FILL", "    unit: months"), (OBSERVATIONAL, RANDOMISED), BUDGET),
        475,
        338,
        (
            *hazard_ratio("arm1_vs_arm0", 0.84, 0.68, 1.04),
            subgroup("bm", "1", 0.42),
            ("forest.rows/lower/variable=bm|level=1", 0.25, 0.0051),
            ("forest.rows/upper/variable=bm|level=1", 0.70, 0.0051),
            # shown at the first level of the variable
            ("forest.rows/interaction_p/variable=bm|level=0", 0.0177, 0.0006),
            subgroup("age_group", "[48,65]", 0.40),
            subgroup("age_group", "(65,75]", 0.81),
            subgroup("age_group", "(75,89]", 1.32),
        ),
    ),
    Study(
        "retinopathy",
        ("diabetic_retinopathy/retinopathy.csv",),
        ((OBSERVATIONAL, RANDOMISED), ("    unit: FILL", "    unit: months"), BUDGET),
        394,
        155,
        (
            # the lower limit is 0.3445 (survival 3.5 says the same), which the README shows as 0.35
            *hazard_ratio("arm1_vs_arm0", 0.46, 0.3445, 0.61, 0.0051),
            subgroup("type", "adult", 0.28),
            subgroup("type", "juvenile", 0.66),
            ("forest.rows/interaction_p/variable=type|level=adult", 0.005, 0.0005),
        ),
    ),
    *(
        Study(
            f"scanb-{gene}",
            ("scanb_400",),
            (
                (
                    "  - name: overall-survival",
                    (f"  - {{name: status, label: {status}, kind: binary, value: {status}, positive: [1], "
                    "negative_values: [0], missing_outcome: drop}\n  - name: overall-survival"),
                ),
                ("  endpoint: overall-survival", "  endpoint: status\n  summary: odds_ratio"),
                (f'  - {{column: "{status}"', ""),
                (
                    "seed:",
                    (f"seed: 20260101\npublished_models: [{{name: {gene}, reference: README, predicts: log_odds,\n"
                    f"  terms: [{{column: {gene}, coefficient: 1.0}}]}}]"),
                ),
            ),
            patients,
            None,
            ((f"published.{gene}.auc", value, 0.00051),),
        )
        for gene, status, patients, value in (
            ("ESR1", "er_status", 400, 0.976),
            ("ERBB2", "her2_status", 385, 0.908),
        )
    ),
    Study(
        "scanb",
        ("scanb_400",),
        (
            (
                '  - {column: "pam50_subtype"',
                ('  - {column: "pam50_subtype", kind: categorical, levels: [Basal, Her2, LumA, LumB, Normal], '
                "role: prognostic}"),
            ),
            MODEL_BUDGET,
        ),
        400,
        48,
        (factor("pam50_subtype", "LumA", 0.42),),
    ),
)  # fmt: skip
