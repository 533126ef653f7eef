func runLab(_ arguments: [String]) -> Int32 { 2 }
