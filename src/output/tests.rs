//! Tests every format with hostile values and values of every type, read back by parsers that share no code with the
//! writers.

use std::io::Read;
use std::sync::Arc;

use arrow::array::*;
use arrow::datatypes::{DataType, Field, Int64Type, Schema, TimeUnit};
use serde_json::{Value, json};

use super::visible::tests::{harmless, payloads};
use super::*;

fn written(format: Format, batches: &[RecordBatch]) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out");
    let mut target = OutputTarget::file(&path, ExistingFile::Keep).unwrap();
    let mut sink = sink(format, &mut target, &batches[0].schema(), Style::default()).unwrap();
    batches.iter().for_each(|b| sink.write(b).unwrap());
    sink.finish().unwrap();
    drop(sink);
    target.commit().unwrap();
    let mut bytes = Vec::new();
    std::fs::File::open(path).unwrap().read_to_end(&mut bytes).unwrap();
    bytes
}

fn text(format: Format, batches: &[RecordBatch]) -> String {
    String::from_utf8(written(format, batches)).unwrap()
}

/// One row per payload: as text, as key and value of a map, in a list; and a number that must stay a number.
fn hostile() -> (Vec<(String, String)>, RecordBatch) {
    let payloads = payloads();
    let mut map = MapBuilder::new(None, StringBuilder::new(), StringBuilder::new());
    let mut list = ListBuilder::new(StringBuilder::new());
    for (_, value) in &payloads {
        map.keys().append_value(value);
        map.values().append_value(value);
        map.append(true).unwrap();
        list.append_value([Some(value.as_str())]);
    }
    let texts: StringArray = payloads.iter().map(|(_, v)| Some(v.as_str())).collect();
    let numbers: Int64Array = (0..payloads.len() as i64).map(|n| Some(-n)).collect();
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("=text", Arc::new(texts)),
        ("map", Arc::new(map.finish())),
        ("list", Arc::new(list.finish())),
        ("number", Arc::new(numbers)),
    ];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    (payloads, batch)
}

#[test]
fn json_gives_hostile_values_back_unchanged() {
    let (payloads, batch) = hostile();
    let array: Vec<Value> = serde_json::from_str(&text(Format::Json, std::slice::from_ref(&batch))).unwrap();
    let written = text(Format::Jsonl, std::slice::from_ref(&batch));
    let lines: Vec<Value> = written.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert_eq!(array, lines);
    assert_eq!(array.len(), payloads.len());
    assert!(harmless(&written.replace('\n', "")), "JSON is safe to look at too");
    for (i, (row, (name, value))) in array.iter().zip(&payloads).enumerate() {
        let expected = json!({"=text": value, "map": {value: value}, "list": [value], "number": -(i as i64)});
        assert!(*row == expected, "{name}");
    }
}

#[test]
fn csv_gives_hostile_values_back_and_guards_formulas() {
    let (payloads, batch) = hostile();
    let written = text(Format::Csv, &[batch]);
    let mut rows =
        ::csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(written.as_bytes()).into_records();
    assert_eq!(rows.next().unwrap().unwrap().get(0), Some("'=text"));
    let starts = ['=', '+', '-', '@', '\t', '\r', '\n', '\0', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}'];
    let mut guarded = 0;
    for (i, (name, value)) in payloads.iter().enumerate() {
        let row = rows.next().unwrap().unwrap();
        assert_eq!(row.len(), 4, "{name}");
        for cell in row.iter().take(3) {
            assert!(!cell.starts_with(starts) && !cell.trim_start().starts_with(starts), "{name}");
        }
        guarded += usize::from(row[0] == format!("'{value}"));
        // The way back: one sign less.
        assert_eq!(row[0].strip_prefix('\'').unwrap_or(&row[0]), *value, "{name}");
        let map: Value = serde_json::from_str(&row[1]).unwrap();
        assert!(map == json!({value: value}), "{name}");
        assert_eq!(row[3], (-(i as i64)).to_string());
    }
    assert!(rows.next().is_none());
    let sink = |text| {
        let mut bytes = Vec::new();
        let mut sink = csv::CsvSink::new(&mut bytes, &["n".to_owned()], (TextReader::Program, text)).unwrap();
        let texts: ArrayRef = Arc::new(StringArray::from(vec!["=1", "'=1", "it's"]));
        sink.write(&RecordBatch::try_from_iter([("n", texts)]).unwrap()).unwrap();
        sink.finish().unwrap();
        drop(sink);
        String::from_utf8(bytes).unwrap()
    };
    assert_eq!(sink(CsvText::Guarded), "n\n'=1\n''=1\nit's\n");
    assert_eq!(sink(CsvText::Exact), "n\n=1\n'=1\nit's\n");
    assert!(guarded >= 14, "{guarded}");
}

#[test]
fn csv_on_a_terminal_is_visible() {
    let (_, batch) = hostile();
    let mut bytes = Vec::new();
    let mut sink =
        csv::CsvSink::new(&mut bytes, &unique_names(&batch.schema()), (TextReader::Terminal, CsvText::Exact)).unwrap();
    sink.write(&batch).unwrap();
    sink.finish().unwrap();
    drop(sink);
    assert!(harmless(&String::from_utf8(bytes).unwrap().replace('\n', "")));
}

#[test]
fn tables_keep_one_line_a_record() {
    let (payloads, batch) = hostile();
    let shown = text(Format::Table, std::slice::from_ref(&batch));
    assert!(harmless(&shown.replace('\n', "")));
    assert_eq!(shown.lines().count(), payloads.len() + 2);
    // No value is cut.
    let payload = |(_, value): &(String, String)| visible(value).trim_end().len();
    assert!(shown.len() > 3 * payloads.iter().map(payload).sum::<usize>());
}

/// The rows as a screen shows them.
fn on_screen(batch: &RecordBatch, width: usize, values: ScreenValues) -> String {
    let mut bytes = Vec::new();
    let mut sink = screen::ScreenSink::new(&mut bytes, ScreenLook { width, values, color: false });
    sink.write(batch).unwrap();
    sink.finish().unwrap();
    drop(sink);
    String::from_utf8(bytes).unwrap()
}

#[test]
fn hostile_values_are_harmless_on_a_screen() {
    let (_, batch) = hostile();
    for width in [20, 80, 120, 400] {
        for values in [ScreenValues::Short, ScreenValues::Whole] {
            let shown = on_screen(&batch, width, values);
            assert!(harmless(&shown.replace('\n', "")), "{width} {values:?}");
        }
    }
}

#[test]
fn a_narrow_screen_gets_one_column_a_line() {
    let columns: Vec<(String, ArrayRef)> =
        (0..30).map(|i| (format!("column_{i}"), Arc::new(StringArray::from(vec!["some text"])) as ArrayRef)).collect();
    let shown = on_screen(&RecordBatch::try_from_iter(columns).unwrap(), 30, ScreenValues::Short);
    assert_eq!(shown.lines().count(), 31, "{shown}");
    assert!(shown.lines().nth(1).unwrap().ends_with("│ some text"));
}

/// A naive reading of the signs that CommonMark and GFM act on: a cell may hold none that is not escaped.
#[test]
fn markdown_is_a_table_and_nothing_else() {
    let (payloads, batch) = hostile();
    let written = text(Format::Markdown, &[batch]);
    assert!(harmless(&written.replace('\n', "")));
    let lines: Vec<&str> = written.lines().collect();
    assert_eq!(lines.len(), payloads.len() + 2);
    assert_eq!(lines[1], "| --- | --- | --- | ---: |");
    for (line, (name, _)) in lines[2..].iter().zip(&payloads) {
        assert_eq!(line.matches('|').count(), 5, "{name}");
        let mut chars = line.chars().peekable();
        while let Some(c) = chars.next() {
            match c {
                '\\' => assert!(chars.next().is_some_and(|n| "`*_[]#!~".contains(n)), "{name}"),
                '&' => assert_eq!(chars.peek(), Some(&'#'), "{name}"),
                c => assert!(!"`*_[]!~<>@".contains(c), "{name}: {c}"),
            }
            if c == '&' {
                chars
                    .by_ref()
                    .take_while(|c| *c != ';')
                    .for_each(|c| assert!(c == '#' || c.is_ascii_digit(), "{name}"));
            }
        }
        assert!(!line.contains("://") && !line.to_lowercase().contains("javascript:"), "{name}");
    }
}

#[test]
fn parquet_and_arrow_give_hostile_values_back() {
    let (_, batch) = hostile();
    let parquet = written(Format::Parquet, std::slice::from_ref(&batch));
    let reader = parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(bytes(parquet))
        .unwrap()
        .build()
        .unwrap();
    let back: Vec<RecordBatch> = reader.map(Result::unwrap).collect();
    assert_eq!(back[0].columns(), batch.columns());
    let arrow = written(Format::Arrow, std::slice::from_ref(&batch));
    let reader = arrow::ipc::reader::FileReader::try_new(std::io::Cursor::new(arrow), None).unwrap();
    let back: Vec<RecordBatch> = reader.map(Result::unwrap).collect();
    assert_eq!(back[0].columns(), batch.columns());
}

fn bytes(from: Vec<u8>) -> std::fs::File {
    let mut file = tempfile::tempfile().unwrap();
    io::Write::write_all(&mut file, &from).unwrap();
    file
}

fn every_type() -> RecordBatch {
    let at = 1_773_480_600_000_000;
    let mut map = MapBuilder::new(None, StringBuilder::new(), StringBuilder::new());
    for key in ["b", "a"] {
        map.keys().append_value(key);
        map.values().append_value("1");
    }
    map.append(true).unwrap();
    map.append(false).unwrap();
    let list = ListArray::from_iter_primitive::<Int64Type, _, _>([Some([Some(1), None]), None]);
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("i", Arc::new(Int64Array::from(vec![Some(i64::MAX), None]))),
        ("u", Arc::new(UInt64Array::from(vec![Some(u64::MAX), None]))),
        ("f", Arc::new(Float64Array::from(vec![Some(1.5), Some(f64::NAN)]))),
        ("b", Arc::new(BooleanArray::from(vec![Some(true), None]))),
        ("t", Arc::new(TimestampMicrosecondArray::from(vec![Some(at), Some(at + 250_000)]).with_timezone("UTC"))),
        ("n", Arc::new(TimestampNanosecondArray::from(vec![Some(at * 1000), None]))),
        ("z", Arc::new(TimestampSecondArray::from(vec![Some(at / 1_000_000), None]).with_timezone("America/New_York"))),
        ("d", Arc::new(Date32Array::from(vec![Some(20_526), None]))),
        ("m", Arc::new(map.finish())),
        ("l", Arc::new(list)),
        ("x", Arc::new(BinaryArray::from(vec![Some(&b"\x00\xff"[..]), None]))),
        ("c", Arc::new(Decimal128Array::from(vec![Some(1250), None]).with_precision_and_scale(10, 2).unwrap())),
        ("k", Arc::new(DictionaryArray::<arrow::datatypes::Int32Type>::from_iter([Some("word"), None]))),
        ("v", Arc::new(StringViewArray::from(vec![Some("view"), None]))),
        ("e", Arc::new(NullArray::new(2))),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, c)| (n, c, true))).unwrap()
}

#[test]
fn types_are_written_as_the_contract_says() {
    let rows: Vec<Value> = serde_json::from_str(&text(Format::Json, &[every_type()])).unwrap();
    let first = json!({
        "i": i64::MAX, "u": u64::MAX, "f": 1.5, "b": true, "t": "2026-03-14T09:30:00Z", "n": "2026-03-14T09:30:00Z",
        "z": "2026-03-14T09:30:00Z", "d": "2026-03-14", "m": {"a": "1", "b": "1"}, "l": [1, null], "x": "00ff",
        "c": 12.5, "k": "word", "v": "view", "e": null,
    });
    assert_eq!(rows[0], first);
    assert_eq!(rows[1]["t"], json!("2026-03-14T09:30:00.250Z"));
    assert!(rows[1].as_object().unwrap().iter().all(|(name, v)| v.is_null() || name == "t"));
    let written = text(Format::Csv, &[every_type()]);
    let line = written.lines().nth(1).unwrap();
    assert!(line.starts_with("9223372036854775807,18446744073709551615,1.5,true,2026-03-14T09:30:00Z,"), "{line}");
    assert!(line.contains(r#","{""a"":""1"",""b"":""1""}","[1,null]",00ff,12.50,word,view,"#), "{line}");
}

#[test]
fn empty_answers_are_whole_documents() {
    let schema = Arc::new(Schema::new(vec![Field::new(
        "a",
        DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        true,
    )]));
    let none = [RecordBatch::new_empty(schema)];
    for (format, expected) in [
        (Format::Json, "[]\n"),
        (Format::Jsonl, ""),
        (Format::Csv, "a\n"),
        (Format::Markdown, "| a |\n| --- |\n"),
        (Format::Table, "a\n─\n"),
    ] {
        assert_eq!(text(format, &none), expected, "{format:?}");
    }
    assert!(written(Format::Parquet, &none).starts_with(b"PAR1"));
}

#[test]
fn equal_names_become_different() {
    let field = |name: &str| Field::new(name, DataType::Utf8, true);
    let schema = Schema::new(vec![field("id"), field("id_2"), field("id"), field("id")]);
    assert_eq!(unique_names(&schema), ["id", "id_2", "id_3", "id_4"]);
}

#[test]
fn files_are_kept_and_appear_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out.csv");
    std::fs::write(&path, "old").unwrap();
    assert!(OutputTarget::file(&path, ExistingFile::Keep).is_err());
    let mut target = OutputTarget::file(&path, ExistingFile::Replace).unwrap();
    io::Write::write_all(&mut target, b"new").unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), b"old");
    target.commit().unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), b"new");
    let link = folder.path().join("link.csv");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    for existing in [ExistingFile::Keep, ExistingFile::Replace] {
        let refused = OutputTarget::file(&link, existing).err().unwrap();
        assert!(matches!(refused, OutputError::Link { .. }) && refused.is_usage(), "{refused}");
    }
    std::fs::remove_file(&link).unwrap();
    drop(OutputTarget::file(&folder.path().join("dropped"), ExistingFile::Keep).unwrap());
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn a_file_that_came_during_the_run_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out.csv");
    let mut target = OutputTarget::file(&path, ExistingFile::Keep).unwrap();
    io::Write::write_all(&mut target, b"new").unwrap();
    std::fs::write(&path, "of another").unwrap();
    assert!(target.commit().is_err());
    assert_eq!(std::fs::read(&path).unwrap(), b"of another");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}
