use super::*;
use crate::rows::ColumnKind;

fn columns() -> Vec<Column> {
    vec![
        Column::new("READY", ColumnKind::Ratio),
        Column::new("STATUS", ColumnKind::Status),
        Column::new("RESTARTS", ColumnKind::Number),
        Column::new("MEM", ColumnKind::Memory),
        Column::new("AGE", ColumnKind::Age),
    ]
}

fn row(name: &str, status: &str, restarts: i64, mem: Cell) -> Row {
    Row {
        key: RowKey::new("eu-1", "shop", name),
        cells: [
            Cell::Ratio(1, 2),
            Cell::status(status, Tone::Normal),
            Cell::Number(restarts),
            mem,
            Cell::Time(0),
        ]
        .into(),
        tone: if status == "Running" { Tone::Normal } else { Tone::Error },
        uid: "".into(),
    }
}

fn shape() -> Shape {
    let mut sources = vec![Source::Cluster, Source::Namespace, Source::Name];
    sources.extend((0..5).map(Source::Cell));
    Shape { sources }
}

/// The names shown of a fixed table, one hour after its rows came to be.
fn shown(text: &str) -> Vec<&'static str> {
    let rows = [
        ("web-1", "Running", 0, Cell::Memory(100 << 20)),
        ("web-2", "CrashLoopBackOff", 14, Cell::Memory(2 << 30)),
        ("api-1", "Running", 3, Cell::Unknown),
    ];
    let parsed = Filter::parse(text, &columns()).unwrap_or_else(|e| panic!("{text:?}: {e}"));
    assert_eq!(parsed.labels, None, "{text:?} is not local");
    let filter = parsed.filter;
    let shape = shape();
    let mut tester = Tester::new(&filter, &shape, 3600);
    rows.into_iter()
        .filter(|(name, status, restarts, mem)| tester.passes(&row(name, status, *restarts, mem.clone())))
        .map(|(name, ..)| name)
        .collect()
}

#[test]
fn a_pattern_matches_over_columns_with_spaces_whatever_the_case() {
    assert_eq!(shown("WEB"), ["web-1", "web-2"]);
    assert_eq!(shown("shop web-1 1/2 running"), ["web-1"]);
    assert_eq!(shown("web.*crash"), ["web-2"]);
    assert_eq!(shown("web-[12] 1/2 r"), ["web-1"]);
    assert_eq!(shown("eu-1 shop api"), ["api-1"]);
    assert_eq!(shown("!web"), ["api-1"]);
    assert_eq!(shown(""), ["web-1", "web-2", "api-1"]);
    assert_eq!(shown("60m"), ["web-1", "web-2", "api-1"], "ages are searched as they are shown");
}

#[test]
fn words_join_comparisons_as_signs_do() {
    assert_eq!(shown("restarts>0 and status!=Running"), ["web-2"]);
    assert_eq!(shown("restarts>0 AND not status=Running"), ["web-2"]);
    assert_eq!(shown("restarts>10 or api"), ["web-2", "api-1"]);
    assert_eq!(shown("not (restarts>0 or mem>1Gi)"), ["web-1"]);
    assert_eq!(shown("status~'crash and burn' or restarts=3"), ["api-1"]);
    // Where nothing is compared they are words, and within a word they are none.
    assert_eq!(shown("web-1 and"), Vec::<&str>::new());
    assert_eq!(shown("restarts>=0 and name~^web"), ["web-1", "web-2"]);
    let missing = Filter::parse("restarts>0 and ", &columns()).unwrap_err();
    assert!(missing.contains("missing"), "{missing}");
}

#[test]
fn fuzzy_takes_letters_in_order() {
    assert_eq!(shown("-f wbcrsh"), ["web-2"]);
    assert_eq!(shown("-f"), ["web-1", "web-2", "api-1"]);
}

#[test]
fn columns_compare_by_value_and_unknown_never_matches() {
    assert_eq!(shown("restarts>2"), ["web-2", "api-1"]);
    assert_eq!(shown("restarts >= 14"), ["web-2"]);
    assert_eq!(shown("status!=running"), ["web-2"]);
    assert_eq!(shown("mem>1Gi"), ["web-2"]);
    assert_eq!(shown("!mem>1Gi"), ["web-1"], "unknown is neither more nor less");
    assert_eq!(shown("age<2h"), ["web-1", "web-2", "api-1"]);
    assert_eq!(shown("age<30m"), [""; 0]);
    assert_eq!(shown("name=web-1"), ["web-1"]);
    assert_eq!(shown("ready<1/1"), ["web-1", "web-2", "api-1"]);
}

#[test]
fn labels_go_to_the_server() {
    for text in ["-l app=web", "app=web", "app.kubernetes.io/name=web,tier=db"] {
        let parsed = Filter::parse(text, &columns()).unwrap();
        assert_eq!(parsed.labels.as_deref(), Some(text.trim_start_matches("-l ")), "{text}");
        assert!(parsed.filter.is_all(), "{text}");
    }
    let both = Filter::parse("-l 'app in (web, api)' && restarts>3", &columns()).unwrap();
    assert_eq!(both.labels.as_deref(), Some("'app in (web, api)'"));
    assert!(!both.filter.is_all());
    let joined = Filter::parse("tier=db && -l app=web", &columns()).unwrap();
    assert_eq!(joined.labels.as_deref(), Some("tier=db,app=web"));
    for text in ["-l app=web || restarts>3", "!(-l app=web)", "(tier=db || web)"] {
        let error = Filter::parse(text, &columns()).unwrap_err();
        assert!(error.contains("by the server"), "{text}: {error}");
    }
}

#[test]
fn and_or_not_and_parentheses_hold_together() {
    assert_eq!(shown("restarts>2 && status=running"), ["api-1"]);
    assert_eq!(shown("restarts>2&&status=running"), ["api-1"]);
    assert_eq!(shown("restarts>10 || api"), ["web-2", "api-1"]);
    assert_eq!(shown("web && !crash"), ["web-1"]);
    assert_eq!(shown("!(web && crash)"), ["web-1", "api-1"]);
    assert_eq!(shown("(api || web-1) && restarts<1"), ["web-1"]);
    assert_eq!(shown("api || web && crash"), ["web-2", "api-1"], "and binds closer than or");
    assert_eq!(shown("-f wbcrsh && restarts>3"), ["web-2"]);
    assert_eq!(shown("((restarts>2))"), ["web-2", "api-1"]);
    assert_eq!(shown("restarts>2 status=running"), ["api-1"], "comparisons side by side all hold");
    assert_eq!(shown("mem>1 || restarts=3"), ["web-1", "web-2", "api-1"], "one that is known is enough");
    assert_eq!(shown("!(mem>1Gi || restarts>5)"), ["web-1"], "unknown is not the opposite either");
}

#[test]
fn regular_expressions_keep_their_own_signs() {
    assert_eq!(shown("(web|api)-1"), ["web-1", "api-1"]);
    assert_eq!(shown("(web|api)-1 && restarts<1"), ["web-1"]);
    assert_eq!(shown("web|api"), ["web-1", "web-2", "api-1"]);
    assert_eq!(shown("(?i)WEB-1"), ["web-1"]);
    assert_eq!(shown("^eu-1 .*(running|done)"), ["web-1", "api-1"]);
    assert_eq!(shown("name~^web-[12]$ && !crash"), ["web-1"]);
    assert_eq!(shown("name!~web"), ["api-1"]);
    assert_eq!(shown("status~crash"), ["web-2"]);
    assert_eq!(shown("[|]|web-1"), ["web-1"], "a class may hold what joins");
}

#[test]
fn what_is_half_typed_says_what_is_missing_and_a_wrong_column_the_nearest() {
    let error = |text: &str| Filter::parse(text, &columns()).unwrap_err();
    assert_eq!(error("restrats>3"), "there is no column RESTRATS: did you mean RESTARTS?");
    assert!(error("web && statsu!=running").contains("did you mean STATUS?"));
    assert!(error("zzz>=1").contains("there are READY, STATUS"));
    assert_eq!(error("restarts>"), "restarts > what? A number, such as 3");
    assert_eq!(
        error("mem>lots"),
        "\"lots\" is no amount of memory. An amount of memory, such as 100Mi or 1.5Gi"
    );
    assert!(error("web &&").contains("something is missing"));
    assert!(error("restarts>1)").contains("too many"));
    assert!(Filter::parse("restrats>3", &[]).is_ok(), "no column is known yet");
    assert!(Filter::parse("!", &columns()).unwrap().filter.is_all());
    assert!(Filter::parse(&"(".repeat(40), &columns()).is_err());
    assert!(Filter::parse(&format!("{}a{}", "(".repeat(40), ")".repeat(40)), &columns()).is_err());
}

#[test]
fn ratios_compare_by_what_is_ready() {
    let ready = |text: &str, cell: Cell| {
        let filter = Filter::parse(text, &columns()).unwrap().filter;
        let mut row = row("a", "Running", 0, Cell::Unknown);
        row.cells[0] = cell;
        Tester::new(&filter, &Shape::default(), 0).passes(&row)
    };
    assert!(ready("ready<1/1", Cell::Ratio(1, 2)));
    assert!(!ready("ready>1/1", Cell::Ratio(2, 2)), "2/2 is no more than 1/1");
    assert!(!ready("ready=1/1", Cell::Ratio(2, 2)));
}

#[test]
fn a_sieve_tells_only_what_passes_and_takes_back_what_no_longer_does() {
    let mut sieve = Sieve::new("restarts>2", false, true);
    let delta = |restarts: i64| TableDelta {
        columns: Some(columns().into()),
        upserts: vec![std::sync::Arc::new(row("a", "Running", restarts, Cell::Unknown))],
        ..TableDelta::default()
    };
    let told = |delta: TableDelta| (delta.upserts.len(), delta.removed.len());
    assert_eq!(told(sieve.pass(delta(1), 0).unwrap()), (0, 0));
    assert_eq!(told(sieve.pass(delta(3), 0).unwrap()), (1, 0));
    assert_eq!(told(sieve.pass(delta(0), 0).unwrap()), (0, 1));
    let gone = TableDelta { removed: vec![RowKey::new("eu-1", "shop", "a")], ..TableDelta::default() };
    assert_eq!(told(sieve.pass(gone, 0).unwrap()), (0, 0), "it was taken back already");
    assert!(Sieve::new("restrats>2", false, true).pass(delta(1), 0).is_err());
}

#[test]
fn what_cannot_be_understood_is_an_error() {
    assert_eq!(
        Filter::parse("web[", &columns()).unwrap_err(),
        "not a regular expression: unclosed character class"
    );
    assert!(Filter::parse("restarts>many", &columns()).is_err());
    assert!(Filter::parse("(a", &columns()).is_err());
}

#[test]
fn faults_only_shows_what_is_wrong() {
    let filter = Filter::default().faults(true);
    let shape = shape();
    let mut tester = Tester::new(&filter, &shape, 0);
    assert!(tester.passes(&row("a", "Failed", 0, Cell::Unknown)));
    assert!(!tester.passes(&row("a", "Running", 0, Cell::Unknown)));
}

#[test]
fn typing_on_narrows() {
    let local = |text: &str| Filter::parse(text, &columns()).unwrap().filter;
    assert!(local("web").narrows(&local("")));
    assert!(local("web-1").narrows(&local("web")));
    assert!(!local("web").narrows(&local("web-1")));
    assert!(!local("!web-1").narrows(&local("web")));
    assert!(!local("web").narrows(&local("!we")));
    assert!(!local("we.b").narrows(&local("we")), "a regular expression is not looked into");
    assert!(local("web").faults(true).narrows(&local("we")));
    assert!(!local("web").narrows(&local("we").faults(true)));
}

proptest::proptest! {
    /// The fast way for plain words finds what the regular expression finds.
    #[test]
    fn a_word_is_found_as_its_regular_expression_is(word in "[a-zA-Z0-9/ -]{1,4}", name in "[a-z0-9-]{1,8}") {
        let Ok(Parsed { filter: fast, labels: None }) = Filter::parse(&word, &columns()) else { return Ok(()) };
        if word.trim_start() != word || word.starts_with("-f") || word.starts_with("-l") { return Ok(()) }
        let slow = Filter {
            expression: Expression::Term(Term::Regex(regex(&::regex::escape(&word)).unwrap())),
            ..Filter::default()
        };
        let (row, shape) = (row(&name, "Running", 1, Cell::Unknown), shape());
        assert_eq!(Tester::new(&fast, &shape, 0).passes(&row), Tester::new(&slow, &shape, 0).passes(&row));
    }
}
