//! The local models as they are used.
//!
//! Tests that need the weights read `JARVIS_E5_WEIGHTS` and `JARVIS_USE_WEIGHTS` and say so when they are absent.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test says what it measured and why it skipped"
)]

use jarvis_embed::{Kind, LocalEmbedder, LocalModel, PADDED_DIMENSIONS, WeightPaths, cosine};

fn embedder() -> Option<LocalEmbedder> {
    let path = |variable| {
        let path = std::env::var_os(variable);
        if path.is_none() {
            println!("skipped: {variable} does not name the weights");
        }
        path
    };
    let paths = WeightPaths {
        e5: path("JARVIS_E5_WEIGHTS")?.into(),
        universal: path("JARVIS_USE_WEIGHTS")?.into(),
    };
    Some(LocalEmbedder::load(&paths).unwrap())
}

#[test]
fn without_the_second_weights_the_first_model_still_works_and_says_what_is_missing() {
    let Some(e5) = std::env::var_os("JARVIS_E5_WEIGHTS") else {
        println!("skipped: JARVIS_E5_WEIGHTS does not name the weights");
        return;
    };
    let paths = WeightPaths {
        e5: e5.into(),
        universal: "not/there".into(),
    };
    let embedder = LocalEmbedder::load(&paths).unwrap();
    assert!(embedder.missing().unwrap().to_string().contains("not/there"));
    assert!(embedder.embed(LocalModel::E5, Kind::Query, "genou").is_some());
    assert_eq!(embedder.embed(LocalModel::Fused, Kind::Query, "genou"), None);
}

#[test]
fn a_model_is_found_by_its_name_alone() {
    for model in LocalModel::ALL {
        assert_eq!(LocalModel::named(model.name()), Some(model));
    }
    assert_eq!(LocalModel::named("text-embedding-3-small"), None);
}

#[test]
fn a_stored_vector_is_of_unit_length_and_padded_with_zeros() {
    let Some(embedder) = embedder() else { return };
    for model in LocalModel::ALL {
        let vector = embedder.embed(model, Kind::Query, "J'ai mal au genou").unwrap();
        let norm = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
        assert_eq!(vector.len(), PADDED_DIMENSIONS);
        assert!((norm - 1.0).abs() < 1e-5, "{model:?}");
        assert!(vector[model.dimensions()..].iter().all(|x| x.to_bits() == 0));
        assert!(vector[..model.dimensions()].iter().any(|x| x.to_bits() != 0));
    }
}

#[test]
fn a_question_is_nearest_to_its_answer_in_both_languages() {
    let Some(embedder) = embedder() else { return };
    let stored = [
        "Sophie a mal au genou droit et évite les squats.",
        "Julie veut mettre son abonnement en pause pendant son congé maternité.",
        "Monique se plaint de la musique trop forte le jeudi.",
        "Karim prépare un semi-marathon pour le mois d'octobre.",
    ]
    .map(|text| embedder.embed(LocalModel::DEFAULT, Kind::Passage, text).unwrap());
    let questions = [
        ("qui a une douleur à la jambe ?", 0),
        ("who has knee pain?", 0),
        ("qui souhaite suspendre son contrat ?", 1),
        ("who wants to freeze their membership?", 1),
        ("qui trouve qu'il y a trop de bruit ?", 2),
        ("who thinks it is too loud?", 2),
        ("qui va participer à une course à pied ?", 3),
        ("who is training for a race?", 3),
    ];
    for (question, answer) in questions {
        let asked = embedder
            .embed(LocalModel::DEFAULT, Kind::Query, question)
            .unwrap();
        let cosines: Vec<f32> = stored.iter().map(|stored| cosine(&asked, stored)).collect();
        println!(
            "{question} {cosines:.3?} {:.2}",
            LocalModel::DEFAULT.calibration().similarity(cosines[answer])
        );
        let others = cosines.iter().enumerate().filter(|(at, _)| *at != answer);
        assert!(
            others.into_iter().all(|(_, other)| *other < cosines[answer]),
            "{question} {cosines:?}"
        );
    }
}
