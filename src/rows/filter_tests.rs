use super::*;
use crate::rows::RowKey;

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
    let Ok(Parsed::Local(filter)) = Filter::parse(text, &columns()) else { panic!("{text:?} is not local") };
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
        assert!(matches!(Filter::parse(text, &columns()), Ok(Parsed::Labels(_))), "{text}");
    }
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
    let local = |text: &str| match Filter::parse(text, &columns()).unwrap() {
        Parsed::Local(filter) => filter,
        Parsed::Labels(_) => panic!(),
    };
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
        let Ok(Parsed::Local(fast)) = Filter::parse(&word, &columns()) else { return Ok(()) };
        if word.trim_start() != word || word.starts_with("-f") || word.starts_with("-l") { return Ok(()) }
        let slow = Filter {
            test: Test::Regex(regex::RegexBuilder::new(&regex::escape(&word)).case_insensitive(true).build().unwrap()),
            ..Filter::default()
        };
        let (row, shape) = (row(&name, "Running", 1, Cell::Unknown), shape());
        assert_eq!(Tester::new(&fast, &shape, 0).passes(&row), Tester::new(&slow, &shape, 0).passes(&row));
    }
}
