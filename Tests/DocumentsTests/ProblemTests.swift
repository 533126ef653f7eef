import Documents
import Testing

@Suite struct ProblemTests {
    private let place = SourcePosition(file: "f.yaml", line: 3, column: 5)

    @Test func text() {
        #expect(
            Problem(at: place, path: "a.b[0]", "is required", hint: "write one").description
                == "f.yaml:3:5: error: a.b[0]: is required (write one)")
        #expect(Problem(.warning, at: nil, "f.yaml: No such file").description == "warning: f.yaml: No such file")
        #expect(
            Problem(at: place, "two\nlines\u{1b}[31m").description == "f.yaml:3:5: error: two\u{fffd}lines\u{fffd}[31m")
    }

    @Test func orderIsThatOfTheText() {
        let later = Problem(at: SourcePosition(line: 10, column: 1), "later")
        let sooner = Problem(at: SourcePosition(line: 9, column: 7), "sooner")
        let nowhere = Problem(.warning, at: nil, "nowhere")
        let again = Problem(at: SourcePosition(line: 9, column: 7), "again")
        #expect([later, sooner, nowhere, again].sortedByPosition == [nowhere, sooner, again, later])
        #expect([later].hasErrors)
        #expect(![nowhere].hasErrors)
    }
}
