//! Holds the audit and every named query to what a person has looked at, on screens of 80, 100 and 120 columns, over
//! both logs. In: `tests/screens/LOGS/NAME.screen` and `NAME.color.screen`, an escape written as `␛`. Out: every screen
//! that differs; `KEYTRAIL_BLESS=1` writes them, for people to look at.

use std::fs;
use std::path::Path;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::{cast, concat_batches};
use arrow::datatypes::DataType;
use arrow::ipc::reader::FileReader;
use keytrail::output::{ExistingFile, Format, OutputTarget, Style, sink, visible};
use keytrail::sql::named::{self, NamedQuery};

use crate::child::{has_program, keytrail, on_every_core, root, shell_line};
use crate::golden::is_blessing;
use crate::queries::words_of;

const WIDTHS: [usize; 3] = [80, 100, 120];

/// The folder of the screens, and the logs.
const LOGS: [(&str, &str); 2] = [("sample-logs", "sample-logs"), ("near-misses", "tests/logs")];

/// A question over some logs, and what it looks like by width.
struct Screens {
    /// The golden without its ending.
    golden: String,
    plain: Vec<(usize, String)>,
    colored: Vec<(usize, String)>,
}

impl Screens {
    fn of(golden: String, screen: impl Fn(usize, Color) -> String) -> Screens {
        let at_all = |color| WIDTHS.map(|width| (width, screen(width, color))).to_vec();
        Screens { golden, plain: at_all(Color::Never), colored: at_all(Color::Always) }
    }

    /// Everything that is wrong with them.
    fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        for ((width, plain), (_, colored)) in self.plain.iter().zip(&self.colored) {
            let golden = &self.golden;
            let is_arn = |line: &str| line.starts_with("arn:");
            // An ARN is never cut: the terminal breaks its line.
            let wide = plain.lines().find(|line| visible::width(line) > *width && !is_arn(line));
            faults.extend(wide.map(|line| format!("{golden}: wider than {width} columns: {line}")));
            if without_color(colored) != *plain {
                faults.push(format!("{golden}: a screen of {width} columns says something else in color"));
            }
        }
        for (ending, screens) in [("screen", &self.plain), ("color.screen", &self.colored)] {
            let head = |width: &usize| format!("════ {width} columns ════\n");
            let text: String = screens.iter().map(|(width, screen)| head(width) + screen + "\n").collect();
            let text = text.replace('\u{1b}', "␛");
            let path = root().join(format!("tests/screens/{}.{ending}", self.golden));
            if is_blessing() {
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(&path, &text).unwrap();
            } else if fs::read_to_string(&path).unwrap_or_default() != text {
                faults.push(format!("{} is now:\n{text}", path.display()));
            }
        }
        faults
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Color {
    Never,
    Always,
}

fn without_color(text: &str) -> String {
    let mut parts = text.split('\u{1b}');
    let first = parts.next().unwrap().to_owned();
    parts.fold(first, |plain, part| plain + part.split_once('m').unwrap().1)
}

/// The rows of a named query.
fn rows(query: &NamedQuery, logs: &str) -> RecordBatch {
    let words = words_of(query).remove(0);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows.arrow");
    let options = ["--from", logs, "-q", "-o", path.to_str().unwrap()];
    let ended = keytrail(["query"].into_iter().chain(words.split_whitespace()).chain(options));
    assert_eq!(ended.code, Some(0), "{words} over {logs}: {}", ended.story());
    let reader = FileReader::try_new(fs::File::open(path).unwrap(), None).unwrap();
    let (schema, batches) = (reader.schema(), reader.map(Result::unwrap).collect::<Vec<_>>());
    concat_batches(&schema, &batches).unwrap()
}

/// The rows as `keytrail query` writes them for a screen.
fn screen_of(rows: &RecordBatch, width: usize, color: Color) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("screen");
    let mut target = OutputTarget::file(&path, ExistingFile::Keep).unwrap();
    let style = Style { color: color == Color::Always, width: Some(width), ..Style::default() };
    let mut sink = sink(Format::Table, &mut target, &rows.schema(), style).unwrap();
    sink.write(rows).unwrap();
    sink.finish().unwrap();
    drop(sink);
    target.commit().unwrap();
    fs::read_to_string(path).unwrap()
}

/// The ends of all names of a column by which people tell them apart: of a key the head of its id.
fn ends(rows: &RecordBatch, column: &str) -> Vec<String> {
    let Some(column) = rows.column_by_name(column) else { return Vec::new() };
    let texts = cast(column, &DataType::Utf8).unwrap();
    let texts = texts.as_string::<i32>();
    let end = |row: usize| {
        let text = texts.value(row).trim_end_matches(".amazonaws.com");
        match text.rsplit_once(":key/") {
            Some((_, id)) => id.chars().take(8).collect(),
            None => {
                let name = text.rsplit(['/', ':']).next().unwrap();
                name.chars().skip(name.chars().count().saturating_sub(9)).collect::<String>()
            }
        }
    };
    (0..texts.len()).filter(|row| texts.is_valid(*row)).map(end).collect()
}

#[test]
fn every_named_query_is_seen_at_a_glance() {
    let asked: Vec<_> = named::all().iter().flat_map(|query| LOGS.map(|logs| (query, logs))).collect();
    let faults = on_every_core(&asked, |(query, (folder, logs))| {
        let rows = rows(query, logs);
        let screens = Screens::of(format!("{folder}/{}", query.name), |width, color| screen_of(&rows, width, color));
        let mut faults = screens.faults();
        for column in ["principal", "changed_by", "key_arn", "table_arn", "table_name"] {
            for end in ends(&rows, column) {
                let blind = screens.plain.iter().filter(|(_, screen)| !screen.contains(&end));
                faults
                    .extend(blind.map(|(width, _)| {
                        format!("{folder}/{}: {column} {end} is not on {width} columns", query.name)
                    }));
            }
        }
        faults
    });
    let faults: Vec<String> = faults.into_iter().flatten().collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// An audit with its width and colors, as a command.
fn audit(logs: &str, width: usize, color: &str) -> String {
    let ended = keytrail(["audit", logs, "-q", "--width", &width.to_string(), "--color", color]);
    assert_eq!(ended.code, Some(0), "{}", ended.story());
    ended.text().to_owned()
}

#[test]
fn the_audit_is_seen_at_a_glance() {
    let faults = on_every_core(&LOGS, |(folder, logs)| {
        let color = |color| if color == Color::Always { "always" } else { "never" };
        Screens::of(format!("{folder}/audit"), |width, asked| audit(logs, width, color(asked))).faults()
    });
    let faults: Vec<String> = faults.into_iter().flatten().collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// Opens a terminal of 80 columns, runs the command in it, and prints what the terminal was sent.
const TERMINAL: &str = "
import fcntl, os, pty, struct, sys, termios
pid, terminal = pty.fork()
if pid == 0:
    fcntl.ioctl(1, termios.TIOCSWINSZ, struct.pack('HHHH', 24, 80, 0, 0))
    os.environ.pop('NO_COLOR', None)
    os.environ.pop('COLUMNS', None)
    os.environ.update(dict(pair.split('=', 1) for pair in sys.argv[1].split()))
    os.execvp(sys.argv[2], sys.argv[2:])
while True:
    try:
        sent = os.read(terminal, 65536)
    except OSError:
        break
    if not sent:
        break
    os.write(1, sent)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
";

/// The text that a real terminal of 80 columns is sent.
fn in_terminal(environment: &str, command: &str) -> String {
    let script = tempfile::NamedTempFile::new().unwrap();
    fs::write(script.path(), TERMINAL).unwrap();
    let ended = shell_line(&format!("python3 {} '{environment}' {command}", script.path().display()));
    assert_eq!(ended.code, Some(0), "{command}: {}", ended.story());
    ended.text().replace("\r\n", "\n")
}

/// The width that a terminal has is the width that `--width` gives, and `COLUMNS` is nearer.
#[test]
fn a_terminal_is_a_screen() {
    if !has_program("python3", &["-c", "import pty"]) {
        return;
    }
    let audit_here = "keytrail audit sample-logs -q";
    assert_eq!(in_terminal("A=b", audit_here), audit("sample-logs", 80, "always"));
    assert_eq!(in_terminal("COLUMNS=100", audit_here), audit("sample-logs", 100, "always"));
    assert_eq!(in_terminal("COLUMNS=100 NO_COLOR=1", audit_here), audit("sample-logs", 100, "never"));
    assert_eq!(in_terminal("A=b", &format!("{audit_here} --width 120")), audit("sample-logs", 120, "always"));
    let golden =
        fs::read_to_string(Path::new(root()).join("tests/screens/sample-logs/key-users.color.screen")).unwrap();
    let shown = in_terminal("A=b", "keytrail query key-users --from sample-logs -q").replace('\u{1b}', "␛");
    assert!(golden.starts_with(&format!("════ 80 columns ════\n{shown}")), "{shown}");
}

/// A pipe loses nothing: it has every row, every column, every value.
#[test]
fn a_pipe_is_no_screen() {
    let whole = |args: &[&str]| keytrail(args).text().to_owned();
    for args in [["audit", "sample-logs", "-f", "table"], ["audit", "sample-logs", "-f", "markdown"]] {
        let shown = whole(&args);
        assert!(!shown.contains('…') && !shown.contains("more:"), "{args:?}: {shown}");
        for part in ["arn:aws:iam::111122223333:role/aws-service-role/", "key/1234abcd-12ab-34cd-56ef-1234567890ab"] {
            assert!(shown.contains(part), "{args:?}: {part}");
        }
    }
    let long = "SELECT repeat('ab', 1000) AS long";
    for format in ["table", "markdown"] {
        assert!(
            whole(&["query", long, "--from", "sample-logs", "-f", format]).contains(&"ab".repeat(1000)),
            "{format}"
        );
    }
    // So does a screen that is asked for the whole.
    let shown = whole(&["audit", "sample-logs", "-v", "--width", "80"]);
    assert!(!shown.contains('…') && shown.contains("key/1234abcd-12ab-34cd-56ef-1234567890ab"), "{shown}");
}
